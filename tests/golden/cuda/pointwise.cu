// Compile with --fmad=false: every operation rounds.
typedef unsigned char u8;
typedef int i32;
typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;

// Integers wrap.
template <typename T> __device__ T wrap_add(T a, T b) { return T(u64(a) + u64(b)); }
template <typename T> __device__ T wrap_sub(T a, T b) { return T(u64(a) - u64(b)); }
template <typename T> __device__ T wrap_mul(T a, T b) { return T(u64(a) * u64(b)); }
template <typename T> __device__ T wrap_shl(T a, T b) { return T(u64(a) << u64(b)); }
template <typename T> __device__ T absolute(T a) { return a < 0 ? wrap_sub(T(0), a) : a; }
template <typename T> __device__ T least(T a, T b) { return b < a ? b : a; }
template <typename T> __device__ T largest(T a, T b) { return a < b ? b : a; }

template <typename To, typename From> __device__ To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From), "bits_as keeps the width");
  union { From from; To to; } both = {from};
  return both.to;
}

__device__ bool negative(float a) { return __float_as_int(a) < 0; }
__device__ bool negative(double a) { return __double_as_longlong(a) < 0; }

// A NaN wins, and -0 < +0. Without branches: a chain of these is what a reduction waits for.
template <typename T> __device__ T minimum(T a, T b) {
  const T less = (a < b) | ((a == b) & negative(a)) ? a : b;
  return (a != a) | (b != b) ? a + b : less;
}
template <typename T> __device__ T maximum(T a, T b) {
  const T more = (a > b) | ((a == b) & negative(b)) ? a : b;
  return (a != a) | (b != b) ? a + b : more;
}

// Truncation that saturates to least and most, with NaN to 0; low and high are where it must.
template <typename To, typename From>
__device__ To saturate(From a, From low, From high, To least, To most) {
  return a != a ? To(0) : a <= low ? least : a >= high ? most : To(a);
}

// x * 2**n rounded once; beyond 4000 nothing changes.
__device__ float scale(float x, i64 n) {
  return ldexpf(x, int(n < -4000 ? -4000 : n > 4000 ? 4000 : n));
}
__device__ double scale(double x, i64 n) {
  return ldexp(x, int(n < -4000 ? -4000 : n > 4000 ? 4000 : n));
}

// The program fails with the smallest (site, element) reported.
__device__ void report(u64 *status, bool condition, i64 site, i64 element) {
  if (condition) atomicMin(status + site, u64(element));
}

extern "C" __global__ void __launch_bounds__(256)
pointwise_0(
    const float *__restrict__ in0,
    const float *__restrict__ in1,
    float *__restrict__ out0,
    i64 n,
    i64 n_1,
    u64 *status) {
  const i64 blocks = (n + 2047) / 2048;
  for (i64 p = blockIdx.x; p < blocks; p += gridDim.x) {
    const i64 start = p * 2048;
    const i64 stop = least<i64>((start + 2048), n);
    for (i64 i = start + threadIdx.x; i < stop; i += 256) {
      const float x = in0[i];
      const float _0 = -fabsf(x);
      const float _1 = (-104.0f > _0) ? -104.0f : _0;
      const float _2 = rintf(_1 * 1.442695f);
      const float _3 = fmaf(_2, 1.9046542e-09f, fmaf(_2, -0.6931472f, _1));
      const float _4 = fmaf(fmaf(fmaf(0.0013838881f, _3, 0.008369192f), _3, 0.041668102f), _3, 0.16666517f);
      const i32 _5 = saturate<i32, float>(_2, -2.1474836e+09f, 2.1474836e+09f, (-2147483647 - 1), 2147483647);
      const float _6 = scale(fmaf(fmaf(fmaf(_4, _3, 0.49999994f), _3, 1.0f), _3, 1.0f), _5);
      const float sigmoid = ((x < 0.0f) ? _6 : 1.0f) / (_6 + 1.0f);
      const float x_1 = in1[i];
      const float mul = sigmoid * x_1;
      const float minimum_v = minimum<float>(x, x_1);
      const float _7 = fabsf(minimum_v);
      const bool _8 = _7 >= 5.0706024e+30f;
      const bool _9 = _7 >= 7.5557864e+22f;
      const bool _10 = _7 >= 1.1258999e+15f;
      const float _11 = _8 ? 1.6543612e-24f : (_9 ? 1.110223e-16f : (_10 ? 7.450581e-09f : 1.0f));
      const double _12 = double((_7 * _11));
      const double _13 = _9 ? -1.3544995237659854 : (_10 ? -0.5529460512772132 : 0.6366197723675814);
      const double _14 = _8 ? -0.3284762738195453 : _13;
      const double _15 = _12 * _14;
      const double _16 = _15 + 6755399441055744.0;
      const i32 _17 = i32((bits_as<i64, double>(_16)));
      const double _18 = _9 ? 9.170827988311028e-17 : (_10 ? 3.808591801500832e-17 : -3.935735335036497e-17);
      const double _19 = (_15 - (_16 - 6755399441055744.0)) + fma(_12, _8 ? 2.3488816399632256e-17 : _18, fma(_12, _14, -_15));
      const float _20 = float((_19 * 1.5707963267948966));
      const float _21 = _20 * _20;
      const float _22 = fmaf(fmaf(fmaf(2.4333145e-05f, _21, -0.001388634f), _21, 0.041666623f), _21, -0.5f);
      const float _23 = fmaf(_21 * _20, fmaf(fmaf(-0.00019427338f, _21, 0.0083314385f), _21, -0.16666642f), _20);
      const i32 _24 = wrap_shl<i32>((_17 & 2), 30) ^ ((bits_as<i32, float>(minimum_v)) & (-2147483647 - 1));
      const i32 _25 = (bits_as<i32, float>(((_17 & 1) != 0) ? fmaf(_22, _21, 1.0f) : _23)) ^ _24;
      const float sin = bits_as<float, i32>(_25);
      const float add = mul + sin;
      out0[i] = add;
    }
  }
}
