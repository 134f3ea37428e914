"""The names that MindSpore documents (its lists of releases 2.0 to 2.10), for `names`.

Not listed: what only exists on Ascend or between machines, sparse Tensors, data sets, and the
registration of kernels.
"""

from __future__ import annotations

OPS = """
abs absolute accumulate_n acos acosh adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d add addbmm addcdiv addcmul addmm addmv
addn addr adjoint affine_grid all amax amin aminmax angle any approximate_equal arange arccos
arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argsort argwhere asin asinh assign
assign_add assign_sub atan atan2 atanh atleast_1d atleast_2d atleast_3d avg_pool1d avg_pool2d
avg_pool3d baddbmm bartlett_window batch_dot batch_norm batch_to_space_nd bernoulli bessel_i0
bessel_i0e bessel_i1 bessel_i1e bessel_j0 bessel_j1 bessel_k0 bessel_k0e bessel_k1 bessel_k1e
bessel_y0 bessel_y1 bias_add binary_cross_entropy binary_cross_entropy_with_logits bincount
bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor blackman_window block_diag
bmm bounding_box_decode bounding_box_encode broadcast_to bucketize cartesian_prod cast cat cdist
ceil celu channel_shuffle check_valid choice_with_mask cholesky cholesky_inverse cholesky_solve
chunk clamp clip clip_by_global_norm clip_by_norm clip_by_value col2im column_stack combinations
concat cond conj conv1d conv2d conv3d copysign cos cosh cosine_embedding_loss cosine_similarity
count_nonzero cov crop_and_resize cross cross_entropy ctc_greedy_decoder ctc_loss cummax cummin
cumprod cumsum cumulative_trapezoid deepcopy deformable_conv2d deg2rad dense derivative det diag
diag_embed diagflat diagonal diagonal_scatter diff digamma dist div divide dot dropout dropout1d
dropout2d dropout3d dsplit dstack dyn_shape eig eigvals einsum elu embedding eps equal erf erfc
erfinv exp exp2 expand expand_dims expm1 eye fast_gelu fft fft2 fftn fftshift fill
fill_diagonal flatten flip fliplr flipud float_power floor floor_div floor_mod fmax fmin fmod fold
frac fractional_max_pool2d fractional_max_pool3d full full_like gamma gather gather_d
gather_elements gather_nd gaussian_nll_loss gcd ge gelu geqrf ger glu greater greater_equal
grid_sample group_norm gt gumbel_softmax hamming_window hann_window hardshrink hardsigmoid
hardswish hardtanh heaviside hinge_embedding_loss histc hsplit hstack huber_loss hypot i0 ifft
ifft2 ifftn ifftshift igamma igammac imag index_add index_fill index_select inner inplace_add
inplace_index_add inplace_sub inplace_update interpolate intopk inv inverse invert iou irfft
is_complex is_floating_point is_nonzero is_tensor isclose isfinite isinf isnan isneginf isposinf
isreal jacfwd jacrev jet jvp kaiser_window kl_div kron l1_loss laplace layer_norm lcm ldexp le
leaky_relu lerp less less_equal lgamma linspace log log10 log1p log2 log_matrix_determinant
log_softmax log_uniform_candidate_sampler logaddexp logaddexp2 logcumsumexp logdet logical_and
logical_not logical_or logical_xor logit logsigmoid logspace logsumexp lp_pool1d lp_pool2d lrn lstsq
lt lu_solve lu_unpack margin_ranking_loss masked_fill masked_scatter masked_select matmul
matrix_band_part matrix_determinant matrix_diag matrix_diag_part matrix_exp matrix_norm
matrix_power matrix_set_diag matrix_solve max max_pool2d max_pool3d max_unpool1d max_unpool2d
max_unpool3d maximum mean median meshgrid min minimum mirror_pad mish mm mode
moveaxis movedim mse_loss msort mul multi_label_margin_loss multi_margin_loss
multilabel_margin_loss multilabel_soft_margin_loss multinomial multinomial_with_replacement
multiply mv mvlgamma nan_to_num nanmean nanmedian nanquantile nansum narrow ne neg negative
nextafter nll_loss nonzero norm normal not_equal numel one_hot ones ones_like orgqr ormqr outer
pad padding partial pdist permute pinv pixel_shuffle pixel_unshuffle polar polygamma
population_count positive pow prelu print_ prod quantile rad2deg rand rand_like randint
randint_like randn randn_like random_categorical random_gamma random_poisson randperm range rank
ravel real reciprocal relu relu6 remainder renorm repeat_elements repeat_interleave reshape
reverse reverse_sequence rfft rms_norm roll rot90 round row_stack rrelu rsqrt
scalar_cast scalar_to_tensor scatter scatter_add scatter_div scatter_max scatter_min scatter_mul
scatter_nd scatter_nd_add scatter_nd_div scatter_nd_max scatter_nd_min scatter_nd_mul
scatter_nd_sub scatter_update searchsorted select select_scatter selu sequence_mask sgn shape
shuffle sigmoid sign signbit silu sin sinc sinh size slice slice_scatter slogdet smooth_l1_loss
soft_margin_loss soft_shrink softmax softmin softplus softshrink softsign sort space_to_batch_nd
sparse_segment_mean speed_fusion_attention split sqrt square squeeze stack standard_laplace
standard_normal std std_mean stft stop_gradient strided_slice sub subtract sum svd swapaxes swapdims
t tan tanh tanhshrink tensor_dot tensor_scatter_add tensor_scatter_div tensor_scatter_elements
tensor_scatter_max tensor_scatter_min tensor_scatter_mul tensor_scatter_sub tensor_split
threshold tile topk trace transpose trapz tril tril_indices triplet_margin_loss triu triu_indices
true_divide trunc truncate_div truncate_mod tuple_to_array typeof unbind unfold uniform
uniform_candidate_sampler unique unique_consecutive unique_with_pad unsorted_segment_max
unsorted_segment_min unsorted_segment_prod unsorted_segment_sum unsqueeze unstack upsample
value_and_grad vander var var_mean vecdot view_as_real vjp vmap vsplit vstack where xdivy xlogy
zeros zeros_like zeta
"""

PRIMITIVES = """
ACos Abs AccumulateNV2 Acosh Adam AdamWeightDecay AdaptiveAvgPool2D AdaptiveAvgPool3D
AdaptiveMaxPool2D AdaptiveMaxPool3D Add AddN Addcdiv Addcmul AdjustHue AdjustSaturation AffineGrid
Angle ApplyAdaMax ApplyAdadelta ApplyAdagrad ApplyAdagradDA ApplyAdagradV2 ApplyAddSign
ApplyCenteredRMSProp ApplyFtrl ApplyGradientDescent ApplyMomentum ApplyPowerSign
ApplyProximalAdagrad ApplyProximalGradientDescent ApplyRMSProp ApproximateEqual ArgMaxWithValue
ArgMinWithValue Argmax Argmin Asin Asinh Assign AssignAdd AssignSub Atan Atan2 Atanh AvgPool
AvgPool3D BCEWithLogitsLoss BatchMatMul BatchNorm BatchToSpace BatchToSpaceND Bernoulli BesselI0
BesselI0e BesselI1 BesselI1e BesselJ0 BesselJ1 BesselK0 BesselK0e BesselK1 BesselK1e BesselY0
BesselY1 Betainc BiasAdd BinaryCrossEntropy Bincount BitwiseAnd BitwiseOr BitwiseXor
BoundingBoxDecode BoundingBoxEncode BroadcastTo Bucketize CTCGreedyDecoder CTCLoss Cast Cauchy Cdist
CeLU Ceil CheckNumerics CheckValid Cholesky CholeskyInverse CholeskySolve Col2Im Concat Conj
ConjugateTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose Cos Cosh CountNonZero CropAndResize
Cross CumProd CumSum Cummax Cummin CumulativeLogsumexp Custom DType DataFormatDimMap
DataFormatVecPermute Depend DepthToSpace Diag DiagPart Digamma Dilation2D Div DivNoNan Dropout
Dropout2D Dropout3D Eig Einsum Elu EmbeddingLookup Eps Equal EqualCount Erf Erfc Erfinv
EuclideanNorm Exp Expand ExpandDims Expm1 Eye FFTWithSize FastGeLU Fill FillDiagonal FillV2 Flatten
Floor FloorDiv FloorMod Fmax Fmin Gamma Gather GatherD GatherNd Gcd GeLU Ger Geqrf GLU GradOperation
Greater GreaterEqual GridSampler2D GridSampler3D HShrink HSVToRGB HSigmoid HSwish HammingWindow
Heaviside Histogram HistogramFixedWidth HookBackward HyperMap Hypot IOU Identity IdentityN Igamma
Igammac Im2Col Imag InTopK IndexAdd IndexFill InplaceAdd InplaceSub InplaceUpdate InsertGradientOf
Inv Invert InvertPermutation IsClose IsFinite IsInf IsNan KLDivLoss L2Loss L2Normalize LARSUpdate
LRN LSTM LayerNorm Lcm LeftShift Lerp Less LessEqual Lgamma LinSpace ListDiff Log Log1p
LogMatrixDeterminant LogNormalReverse LogSoftmax LogSpace LogicalAnd LogicalNot LogicalOr LogicalXor
LogUniformCandidateSampler Logit LowerBound LpNorm Lstsq LuSolve LuUnpack Map MaskedFill
MaskedScatter MaskedSelect MatMul MatrixBandPart MatrixDeterminant MatrixDiagPartV3 MatrixDiagV3
MatrixExp MatrixInverse MatrixLogarithm MatrixPower MatrixSetDiagV3 MatrixSolve
MatrixTriangularSolve MaxPool MaxPool3D MaxPool3DWithArgmax MaxPoolWithArgmax MaxUnpool2D Maximum
Meshgrid Minimum MirrorPad Mish Mod Mul MulNoNan MultiMarginLoss MultilabelMarginLoss Multinomial
MultitypeFuncGraph Mvlgamma NLLLoss NanToNum Neg NextAfter NonZero NotEqual NthElement OneHot Ones
OnesLike Orgqr PReLU Pad PadV3 Padding ParallelConcat Partial Polar Polygamma PopulationCount Pow
Primitive Print Qr RGBToHSV ROIAlign RaggedRange RandomCategorical RandomChoiceWithMask RandomGamma
RandomPoisson Randperm Range Rank ReLU ReLU6 Real RealDiv Reciprocal ReduceAll ReduceAny ReduceMax
ReduceMean ReduceMin ReduceProd ReduceStd ReduceSum Renorm Reshape ResizeArea ResizeBicubic
ResizeBilinear ResizeBilinearV2 ResizeLinear1D ResizeNearestNeighbor ResizeNearestNeighborV2
ReverseSequence ReverseV2 RightShift Rint RmsNorm Roll Round Rsqrt SGD ScalarCast ScalarToTensor
ScatterAdd ScatterAddWithAxis ScatterDiv ScatterMax ScatterMin ScatterMul ScatterNd ScatterNdAdd
ScatterNdDiv ScatterNdMax ScatterNdMin ScatterNdMul ScatterNdSub ScatterNdUpdate
ScatterNonAliasingAdd ScatterSub ScatterUpdate SeLU SearchSorted SegmentMax SegmentMean SegmentMin
SegmentProd SegmentSum Select Shape SiLU Sigmoid SigmoidCrossEntropyWithLogits Sign Sin Sinc Sinh
Size Slice SmoothL1Loss SoftMarginLoss SoftShrink Softmax SoftmaxCrossEntropyWithLogits Softplus
Softsign Sort SpaceToBatchND SpaceToDepth SparseGatherV2 SparseSoftmaxCrossEntropyWithLogits Split
SplitV Sqrt Square SquareSumAll SquaredDifference Squeeze Stack StandardLaplace StandardNormal
StopGradient StridedSlice Sub Svd Tan Tanh TensorScatterAdd TensorScatterDiv TensorScatterElements
TensorScatterMax TensorScatterMin TensorScatterMul TensorScatterSub TensorScatterUpdate TensorShape
Tile TopK Trace Transpose TridiagonalMatMul Tril TrilIndices TripletMarginLoss Triu TriuIndices
Trunc TruncateDiv TruncateMod TruncatedNormal TupleToArray UniformCandidateSampler UniformInt
UniformReal Unique UniqueConsecutive UniqueWithPad UnravelIndex UnsortedSegmentMax
UnsortedSegmentMin UnsortedSegmentProd UnsortedSegmentSum Unstack UpperBound UpsampleNearest3D
UpsampleTrilinear3D Xdivy Xlogy Zeros ZerosLike Zeta
"""

TENSOR = """
H T abs absolute acos acosh add addbmm addcdiv addcmul addmm addmv addr adjoint all allclose amax
amin aminmax angle any approximate_equal arccos arccosh arcsin arcsinh arctan arctan2 arctanh
argmax argmax_with_value argmin argmin_with_value argsort argwhere as_strided asin asinh asnumpy
assign_value astype atan atan2 atanh baddbmm bernoulli bincount bitwise_and bitwise_left_shift
bitwise_not bitwise_or bitwise_right_shift bitwise_xor bmm bool broadcast_to byte ceil cholesky
cholesky_inverse choose chunk clamp clip clone col2im conj contiguous copy copy_ copysign cos cosh
count_nonzero cov cross cummax cummin cumprod cumsum deg2rad det diag diagflat diagonal
diagonal_scatter diff digamma div divide dot dsplit dtype eigvals eq equal erf erfc erfinv exp
expand expand_as expand_dims expm1 fill fill_ fill_diagonal fills flatten flip fliplr flipud float
float_power floor floor_divide fmax fmin fmod fold frac from_numpy gather gather_elements gather_nd
gcd ge geqrf ger greater greater_equal gt half hardshrink has_init heaviside histc hsplit hypot i0
igamma igammac imag index_add index_fill index_put index_select init_data inner inplace_update int
inv inverse invert is_complex is_contiguous is_floating_point is_signed isclose isfinite isinf isnan
isneginf isposinf isreal item itemset itemsize kthvalue lcm ldexp le lerp less less_equal lgamma log
log10 log1p log2 log_matrix_determinant logaddexp logaddexp2 logcumsumexp logdet logical_and
logical_not logical_or logical_xor logit logsumexp long lt lu_solve mH mT masked_fill
masked_scatter masked_select matmul matrix_determinant matrix_power max maximum mean median min
minimum mm moveaxis movedim msort mul multinomial multiply mvlgamma nan_to_num nanmean nanmedian
nanquantile nansum narrow nbytes ndim ndimension ne neg negative nelement new_empty new_full
new_ones new_zeros nextafter nonzero norm not_equal numel numpy orgqr ormqr outer permute pinv
positive pow prod ptp put_along_axis quantile rad2deg random_categorical ravel real reciprocal
register_hook remainder renorm repeat repeat_interleave reshape reshape_as resize reverse
reverse_sequence roll rot90 round rsqrt scatter scatter_add scatter_div scatter_max scatter_min
scatter_mul scatter_sub searchsorted select select_scatter sgn shape short sigmoid sign signbit sin
sinc sinh size slice_scatter slogdet soft_shrink sort split sqrt square squeeze std strides sub
subtract sum sum_to_size svd swapaxes swapdims t take tan tanh tensor_split tile to to_tensor tolist
top_k topk trace transpose tril triu true_divide trunc type type_as unbind unfold unique
unique_consecutive unique_with_pad unsorted_segment_max unsorted_segment_min unsorted_segment_prod
unsqueeze var view view_as vsplit where xdivy xlogy zero_
"""

NUMPY = """
absolute add amax amin append apply_along_axis apply_over_axes arange arccos arccosh arcsin arcsinh
arctan arctan2 arctanh argmax argmin argsort around array array_equal array_equiv array_split
array_str asarray asfarray atleast_1d atleast_2d atleast_3d average bartlett bincount bitwise_and
bitwise_or bitwise_xor blackman broadcast_arrays broadcast_to cbrt ceil choose clip column_stack
concatenate convolve copy copysign corrcoef correlate cos cosh count_nonzero cov cross cumprod
cumsum deg2rad diag diag_indices diagflat diagonal diff digitize divide divmod dot dsplit dstack
ediff1d empty empty_like equal exp exp2 expand_dims expm1 eye fix flip fliplr flipud float_power
floor floor_divide fmod full full_like gcd geomspace gradient greater greater_equal hamming hanning
heaviside histogram histogram2d histogram_bin_edges histogramdd hsplit hstack hypot identity in1d
indices inner interp invert isclose isfinite isin isinf isnan isneginf isposinf isscalar ix_ kron
lcm less less_equal linspace log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not
logical_or logical_xor logspace matmul matrix_power maximum mean meshgrid mgrid minimum moveaxis
multi_dot multiply nancumsum nanmax nanmean nanmin nanstd nansum nanvar negative norm not_equal
ogrid ones ones_like outer pad percentile piecewise polyadd polyder polyint polymul polysub polyval
positive power promote_types ptp quantile rad2deg radians rand randint randn ravel
ravel_multi_index reciprocal remainder repeat reshape result_type rint roll rollaxis rot90
searchsorted select sign signbit sin sinh size sometrue sort split sqrt square squeeze stack std
subtract sum swapaxes take take_along_axis tan tanh tensordot tile trace transpose trapz tri tril
tril_indices tril_indices_from triu triu_indices triu_indices_from true_divide trunc unique
unravel_index unwrap vander var vsplit vstack where zeros zeros_like
"""

MINT = """
abs absolute acos acosh add addbmm addcdiv addcmul addmm addmv all allclose amax amin any arange
arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argsort asin asinh atan atan2
atanh baddbmm bernoulli bincount bitwise_and bitwise_not bitwise_or bitwise_xor bmm broadcast_to cat
cdist ceil chunk clamp clone concat cos cosh count_nonzero cross cummax cummin cumprod cumsum diag
diff div divide dot einsum empty empty_like eq equal erf erfc erfinv exp exp2 expm1 eye fix flatten
flip float_power floor floor_divide fmod frac full full_like gather ge greater greater_equal gt
histc hypot index_add index_select inverse isclose isfinite isinf isneginf kthvalue lerp less
less_equal le linspace log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not logical_or
logical_xor logsumexp lt masked_select matmul max maximum mean median meshgrid min minimum mm mul
multinomial mv nan_to_num nansum narrow ne neg negative new_full nonzero norm normal not_equal ones
ones_like outer permute polar pow prod rand rand_like randint randint_like randn randn_like randperm
ravel reciprocal remainder repeat_interleave reshape roll round rsqrt scatter scatter_add
searchsorted select sigmoid sign sin sinc sinh softmax sort split sqrt square squeeze stack std
std_mean sub sum swapaxes t tan tanh tile topk trace transpose triangular_solve tril triu trunc
unbind unique unique_consecutive unsqueeze var var_mean where xlogy zeros zeros_like
"""

NN = """
ASGD Accuracy AdaFactor AdaMax Adadelta Adagrad Adam AdamOffload AdamWeightDecay AdaptiveAvgPool1d
AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d AvgPool1d
AvgPool2d AvgPool3d BCELoss BCEWithLogitsLoss BatchNorm1d BatchNorm2d BatchNorm3d BiDense BleuScore
CELU CTCLoss Cell CellDict CellList CentralCrop ChannelShuffle ClipByNorm ConfusionMatrix
ConfusionMatrixMetric ConstantPad1d ConstantPad2d ConstantPad3d Conv1d Conv1dTranspose Conv2d
Conv2dBnAct Conv2dTranspose Conv3d Conv3dTranspose CosineDecayLR CosineEmbeddingLoss
CosineSimilarity CrossEntropyLoss Dense DenseBnAct DiGamma Dice DiceLoss Dropout Dropout1d Dropout2d
Dropout3d DynamicLossScaleUpdateCell ELU Embedding EmbeddingLookup ExponentialDecayLR F1 FTRL
FastGelu Fbeta FixedLossScaleUpdateCell Flatten FocalLoss ForwardValueAndGrad FractionalMaxPool2d
FractionalMaxPool3d GELU GLU GRU GRUCell GaussianNLLLoss GradAccumulationCell GraphCell GroupNorm
HShrink HSigmoid HSwish Hardtanh HausdorffDistance HingeEmbeddingLoss HuberLoss IGamma Identity
ImageGradients InstanceNorm1d InstanceNorm2d InstanceNorm3d InverseDecayLR Jvp KLDivLoss L1Loss
L1Regularizer LARS LBeta LGamma LPPool1d LPPool2d LRN LSTM LSTMCell Lamb LayerNorm LazyAdam
LeakyReLU LogSigmoid LogSoftmax Loss LossBase MAE MAELoss MSE MSELoss MSSSIM MarginRankingLoss
MatDet MatInverse MatMul MaxPool1d MaxPool2d MaxPool3d MaxUnpool1d MaxUnpool2d MaxUnpool3d
MeanSurfaceDistance Metric Mish Moments Momentum MultiClassDiceLoss MultiFieldEmbeddingLookup
MultiLabelSoftMarginLoss MultiMarginLoss MultiheadAttention MultilabelMarginLoss NLLLoss
NaturalExpDecayLR Norm OcclusionSensitivity OneHot Optimizer PReLU PSNR Pad ParameterUpdate
Perplexity PixelShuffle PixelUnshuffle PoissonNLLLoss PolynomialDecayLR Precision ProximalAdagrad
RMSELoss RMSProp RNN RNNCell ROC RReLU Range ReLU ReLU6 Recall ReduceLogSumExp ReflectionPad1d
ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d Roll
RootMeanSquareDistance Rprop SGD SSIM SampledSoftmaxLoss SeLU SequentialCell SiLU Sigmoid
SmoothL1Loss SoftMarginLoss SoftShrink Softmax Softmax2d SoftmaxCrossEntropyWithLogits Softmin
Softsign SyncBatchNorm Tanh Tanhshrink Threshold TimeDistributed Top1CategoricalAccuracy
Top5CategoricalAccuracy TopKCategoricalAccuracy TrainOneStepCell TrainOneStepWithLossScaleCell
Transformer TransformerDecoder TransformerDecoderLayer TransformerEncoder TransformerEncoderLayer
Tril TripletMarginLoss TripletMarginWithDistanceLoss Triu Unflatten Unfold Upsample Vjp WarmUpLR
WithEvalCell WithGradCell WithLossCell ZeroPad2d auc cosine_decay_lr exponential_decay_lr
get_activation get_metric_fn inverse_decay_lr names natural_exp_decay_lr piecewise_constant_lr
polynomial_decay_lr rearrange_inputs warmup_lr
"""

MINT_NN = """
AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AvgPool1d
AvgPool2d AvgPool3d BCELoss BCEWithLogitsLoss BatchNorm1d BatchNorm2d BatchNorm3d ConstantPad1d
ConstantPad2d ConstantPad3d Conv1d Conv2d Conv3d ConvTranspose2d CosineEmbeddingLoss ELU Flatten
Fold GELU GroupNorm Hardshrink Hardsigmoid Hardswish Hardtanh Identity KLDivLoss L1Loss Linear
LogSigmoid LogSoftmax MSELoss MaxUnpool2d Mish PReLU PixelShuffle ReLU ReLU6 ReflectionPad1d
ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d SELU SiLU Sigmoid
SmoothL1Loss SoftMarginLoss Softmax SyncBatchNorm Tanh Threshold Unfold Upsample
UpsamplingBilinear2d UpsamplingNearest2d ZeroPad1d ZeroPad2d ZeroPad3d
"""

MINT_OPTIM = """
Adam AdamW SGD
"""

MINT_FUNCTIONAL = """
adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d
avg_pool1d avg_pool2d avg_pool3d batch_norm binary_cross_entropy binary_cross_entropy_with_logits
conv1d conv2d conv3d conv_transpose2d cosine_similarity cross_entropy dropout dropout2d elu
embedding fold gelu glu grid_sample group_norm hardshrink hardsigmoid hardswish interpolate kl_div
l1_loss layer_norm leaky_relu linear log_softmax logsigmoid max_pool2d max_unpool2d mish mse_loss
nll_loss normalize one_hot pad pixel_shuffle prelu relu relu6 selu sigmoid silu smooth_l1_loss
soft_margin_loss softmax softplus softshrink tanh threshold unfold upsample
"""

MINT_LINALG = "cholesky det inv matrix_norm norm qr vector_norm"
MINT_SPECIAL = "erfc exp2 expm1 log1p log_softmax round sinc"
SCIPY_LINALG = """
block_diag cho_factor cho_solve cholesky eigh inv lu lu_factor solve_triangular
"""
