target triple = "x86_64-unknown-linux-gnu"

define internal void @axpy.body.0(ptr %.context, i64 %.begin, i64 %.end) #0 {
entry:
  %.slot.0 = getelementptr [64 x i8], ptr %.context, i64 0
  %"x" = load ptr, ptr %.slot.0
  %.slot.1 = getelementptr [64 x i8], ptr %.context, i64 1
  %"y" = load ptr, ptr %.slot.1
  %0 = mul i64 %.begin, 8
  %1 = mul i64 %.end, 8
  %2 = icmp slt i64 %0, %1
  br i1 %2, label %loop.1, label %after.2
loop.1:
  %3 = phi i64 [ %0, %entry ], [ %11, %loop.1 ]
  %4 = getelementptr float, ptr %"x", i64 %3
  %5 = load <8 x float>, ptr %4, align 4
  %6 = fmul <8 x float> %5, splat (float 0x4004000000000000)
  %7 = getelementptr float, ptr %"y", i64 %3
  %8 = load <8 x float>, ptr %7, align 4
  %9 = fadd <8 x float> %6, %8
  %10 = call <8 x float> @llvm.maximum.v8f32(<8 x float> %9, <8 x float> splat (float 0xBFF0000000000000))
  store <8 x float> %10, ptr %7, align 4
  %11 = add i64 %3, 8
  %12 = icmp slt i64 %11, %1
  br i1 %12, label %loop.1, label %after.2
after.2:
  ret void
}

define void @axpy(ptr %.buffers, ptr %.sizes, ptr %.status) #0 {
entry:
  %.buffers.0 = getelementptr ptr, ptr %.buffers, i64 0
  %"x" = load ptr, ptr %.buffers.0
  %.buffers.1 = getelementptr ptr, ptr %.buffers, i64 1
  %"y" = load ptr, ptr %.buffers.1
  %.sizes.0 = getelementptr i64, ptr %.sizes, i64 0
  %"n" = load i64, ptr %.sizes.0
  %.context.1 = alloca [128 x i8], align 64
  %0 = and i64 %"n", -8
  %1 = add i64 %0, 7
  %2 = sdiv i64 %1, 8
  %3 = call i64 @llvm.smax.i64(i64 %2, i64 0)
  %4 = getelementptr [64 x i8], ptr %.context.1, i64 0
  store ptr %"x", ptr %4
  %5 = getelementptr [64 x i8], ptr %.context.1, i64 1
  store ptr %"y", ptr %5
  call void @weft_parallel(ptr @axpy.body.0, ptr %.context.1, i64 %3, i64 512)
  ret void
}

declare i64 @llvm.smax.i64(i64, i64)

declare <8 x float> @llvm.maximum.v8f32(<8 x float>, <8 x float>)

declare void @weft_parallel(ptr, ptr, i64, i64)

attributes #0 = { nounwind "prefer-vector-width"="256" }
