target triple = "x86_64-unknown-linux-gnu"

define void @pointwise_62bfac8864ae6ed56c363e75(ptr %.buffers, ptr %.sizes, ptr %.status) #0 {
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
  %14 = call <32 x float> @llvm.arithmetic.fence.v32f32(<32 x float> %13)
  %15 = fdiv <32 x float> %11, %14
  %16 = fsub <32 x float> %10, %15
  store <32 x float> %16, ptr %"out2", align 4
  %17 = getelementptr float, ptr %"in2", i64 32
  %18 = load float, ptr %17, align 4
  %19 = fmul float 0x3FECCCCCC0000000, %18
  %20 = getelementptr float, ptr %"in1", i64 32
  %21 = load float, ptr %20, align 4
  %22 = fmul float 0x3FB99999A0000000, %21
  %23 = fadd float %19, %22
  %24 = getelementptr float, ptr %"out0", i64 32
  store float %23, ptr %24, align 4
  %25 = getelementptr float, ptr %"in3", i64 32
  %26 = load float, ptr %25, align 4
  %27 = fmul float 0x3FEFF7CEE0000000, %26
  %28 = fmul float 0x3F50624DE0000000, %21
  %29 = fmul float %28, %21
  %30 = fadd float %27, %29
  %31 = getelementptr float, ptr %"out1", i64 32
  store float %30, ptr %31, align 4
  %32 = getelementptr float, ptr %"in0", i64 32
  %33 = load float, ptr %32, align 4
  %34 = fmul float 0x3F50624DE0000000, %23
  %35 = call float @llvm.sqrt.f32(float %30)
  %36 = fadd float %35, 0x3E45798EE0000000
  %37 = fdiv float %34, %36
  %38 = fsub float %33, %37
  %39 = getelementptr float, ptr %"out2", i64 32
  store float %38, ptr %39, align 4
  ret void
}

declare <32 x float> @llvm.sqrt.v32f32(<32 x float>)

declare <32 x float> @llvm.arithmetic.fence.v32f32(<32 x float>)

declare float @llvm.sqrt.f32(float)

attributes #0 = { nounwind "prefer-vector-width"="256" }
