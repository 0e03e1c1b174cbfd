"""Small programs with hand-written kernels, to run the runtime without the compiler."""

from __future__ import annotations

from weftrt import dtypes
from weftrt.cpu.executable import Executable, load
from weftrt.dtypes import DType
from weftrt.errors import OutOfBoundsError
from weftrt.program import ArraySpec, KernelCode, Launch, Program, Site, Temporary
from weftrt.size_expressions import SizeExpression, SizeOp, SizeSlot

F32 = dtypes.float32
N, M = SizeSlot(0), SizeSlot(1)


def spec(*shape: int | SizeSlot, dtype: DType = F32) -> ArraySpec:
    return ArraySpec(dtype, shape)


def elementwise(symbol: str, body: str, inputs: int = 2, sites: int = 0) -> KernelCode:
    """A kernel over buffers (inputs..., output) of size sizes[0]; `body` computes %r of %x0.. and
    the element number %i, and may report at so many sites."""
    pointers = "\n".join(
        f"  %q{k} = getelementptr ptr, ptr %buffers, i64 {k}\n  %p{k} = load ptr, ptr %q{k}"
        for k in range(inputs + 1)
    )
    loads = "\n".join(
        f"  %e{k} = getelementptr float, ptr %p{k}, i64 %i\n  %x{k} = load float, ptr %e{k}"
        for k in range(inputs)
    )
    text = f"""
define void @{symbol}(ptr %buffers, ptr %sizes, ptr %status) {{
entry:
{pointers}
  %n = load i64, ptr %sizes
  br label %test
test:
  %i = phi i64 [ 0, %entry ], [ %next, %body ]
  %more = icmp slt i64 %i, %n
  br i1 %more, label %body, label %done
body:
{loads}
{body}
  %out = getelementptr float, ptr %p{inputs}, i64 %i
  store float %r, ptr %out
  %next = add i64 %i, 1
  br label %test
done:
  ret void
}}
"""
    return KernelCode(symbol, text, sites)


ADD = elementwise("test_add", "  %r = fadd float %x0, %x1")
NEGATE = elementwise("test_negate", "  %r = fneg float %x0", inputs=1)
# Reports element %i where the input is negative: status = min(status, i), unsigned.
CHECK = elementwise(
    "test_check",
    """
  %bad = fcmp olt float %x0, 0.0
  %old = load i64, ptr %status
  %less = icmp ult i64 %i, %old
  %report = and i1 %bad, %less
  %new = select i1 %report, i64 %i, i64 %old
  store i64 %new, ptr %status
  %r = fadd float %x0, 0.0""",
    inputs=1,
    sites=1,
)


def add_program(*shape: int | SizeSlot, work: int | SizeSlot = 10) -> Program:
    """out = x + y on flat arrays of this shape; size slots are read from x."""
    symbols = tuple((0, axis) for axis, s in enumerate(shape) if isinstance(s, SizeSlot))
    count: SizeExpression = (1,)
    for size in shape:
        count = (*count, size, SizeOp.MUL)
    return Program(
        name="add",
        key="add",
        inputs=(spec(*shape), spec(*shape)),
        outputs=(spec(*shape),),
        symbols=symbols,
        derived=(count,),
        temporaries=(),
        arena=0,
        kernels=(ADD,),
        steps=(Launch(0, (0, 1, 2), (len(symbols),)),),
        sites=(),
        results=(0,),
        work=work,
    )


def chain_program() -> Program:
    """For x of n: outputs -(x + x) of n and x + x of n, through a temporary in the arena."""
    return Program(
        name="chain",
        key="chain",
        inputs=(spec(N),),
        outputs=(spec(N), spec(N)),
        symbols=((0, 0),),
        derived=((N, 4, SizeOp.MUL, 64, SizeOp.ADD),),
        temporaries=(Temporary(64),),
        arena=SizeSlot(1),
        kernels=(ADD, NEGATE),
        steps=(Launch(0, (0, 0, 3), (0,)), Launch(1, (3, 1), (0,)), Launch(0, (0, 0, 2), (0,))),
        sites=(),
        results=(0, 1),
        work=0,
    )


def check_program() -> Program:
    """For x, y of n: copies of x, then of y; fails where one is negative (sites 0 and 1)."""
    return Program(
        name="check",
        key="check",
        inputs=(spec(N), spec(N)),
        outputs=(spec(N), spec(N)),
        symbols=((0, 0),),
        derived=(),
        temporaries=(),
        arena=0,
        kernels=(CHECK,),
        steps=(Launch(0, (0, 2), (0,), site=0), Launch(0, (1, 3), (0,), site=1)),
        sites=(
            Site(OutOfBoundsError, "user.py:3", "x is negative"),
            Site(OutOfBoundsError, "user.py:4", "y is negative"),
        ),
        results=(0, 1),
        work=0,
    )


def loaded(program: Program) -> Executable:
    return load(program)
