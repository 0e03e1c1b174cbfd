"""The head of every CUDA module: types and the few functions that CUDA C does not have.

NVRTC has no standard headers, so neither stdint.h nor INFINITY may be used. Compile with
--fmad=false; division and square root are correctly rounded by default.
"""

PRELUDE = """\
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
"""
