target triple = "x86_64-unknown-linux-gnu"

define void @pointwise_f92632cfc6831e109df47834(ptr %.buffers, ptr %.sizes, ptr %.status) #0 {
entry:
  %.buffers.0 = getelementptr ptr, ptr %.buffers, i64 0
  %"in0" = load ptr, ptr %.buffers.0
  %.buffers.1 = getelementptr ptr, ptr %.buffers, i64 1
  %"in1" = load ptr, ptr %.buffers.1
  %.buffers.2 = getelementptr ptr, ptr %.buffers, i64 2
  %"in2" = load ptr, ptr %.buffers.2
  %.buffers.3 = getelementptr ptr, ptr %.buffers, i64 3
  %"in3" = load ptr, ptr %.buffers.3
  %.buffers.4 = getelementptr ptr, ptr %.buffers, i64 4
  %"out0" = load ptr, ptr %.buffers.4
  %.buffers.5 = getelementptr ptr, ptr %.buffers, i64 5
  %"out1" = load ptr, ptr %.buffers.5
  %.buffers.6 = getelementptr ptr, ptr %.buffers, i64 6
  %"out2" = load ptr, ptr %.buffers.6
  %0 = load <32 x float>, ptr %"in2", align 4
  %1 = fmul <32 x float> splat (float 0x3FECCCCCC0000000), %0
  %2 = load <32 x float>, ptr %"in1", align 4
  %3 = fmul <32 x float> splat (float 0x3FB99999A0000000), %2
  %4 = fadd <32 x float> %1, %3
  store <32 x float> %4, ptr %"out0", align 4
  %5 = load <32 x float>, ptr %"in3", align 4
  %6 = fmul <32 x float> splat (float 0x3FEFF7CEE0000000), %5
  %7 = fmul <32 x float> splat (float 0x3F50624DE0000000), %2
  %8 = fmul <32 x float> %7, %2
  %9 = fadd <32 x float> %6, %8
  store <32 x float> %9, ptr %"out1", align 4
  %10 = load <32 x float>, ptr %"in0", align 4
  %11 = fmul <32 x float> splat (float 0x3F50624DE0000000), %4
  %12 = call <32 x float> @llvm.sqrt.v32f32(<32 x float> %9)
  %13 = fadd <32 x float> %12, splat (float 0x3E45798EE0000000)
  %14 = fdiv <32 x float> %11, %13
  %15 = fsub <32 x float> %10, %14
  store <32 x float> %15, ptr %"out2", align 4
  %16 = getelementptr float, ptr %"in2", i64 32
  %17 = load float, ptr %16, align 4
  %18 = fmul float 0x3FECCCCCC0000000, %17
  %19 = getelementptr float, ptr %"in1", i64 32
  %20 = load float, ptr %19, align 4
  %21 = fmul float 0x3FB99999A0000000, %20
  %22 = fadd float %18, %21
  %23 = getelementptr float, ptr %"out0", i64 32
  store float %22, ptr %23, align 4
  %24 = getelementptr float, ptr %"in3", i64 32
  %25 = load float, ptr %24, align 4
  %26 = fmul float 0x3FEFF7CEE0000000, %25
  %27 = fmul float 0x3F50624DE0000000, %20
  %28 = fmul float %27, %20
  %29 = fadd float %26, %28
  %30 = getelementptr float, ptr %"out1", i64 32
  store float %29, ptr %30, align 4
  %31 = getelementptr float, ptr %"in0", i64 32
  %32 = load float, ptr %31, align 4
  %33 = fmul float 0x3F50624DE0000000, %22
  %34 = call float @llvm.sqrt.f32(float %29)
  %35 = fadd float %34, 0x3E45798EE0000000
  %36 = fdiv float %33, %35
  %37 = fsub float %32, %36
  %38 = getelementptr float, ptr %"out2", i64 32
  store float %37, ptr %38, align 4
  ret void
}

declare <32 x float> @llvm.sqrt.v32f32(<32 x float>)

declare float @llvm.sqrt.f32(float)

attributes #0 = { nounwind "prefer-vector-width"="256" }
