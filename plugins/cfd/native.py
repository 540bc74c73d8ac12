"""What Warp itself does with more instructions on a GPU than a hot kernel has to spare.

Its `//` and `[]` serve negative numbers too, which cost a fifth of a step's instructions; its `/`
and `sqrt` round to the last bit, which costs ten times the native reciprocal and root. These are
off by one or two in the last of 24 bits, far below what a collision rounds away.
"""

# No future annotations: Warp reads types from them.
import warp as wp

_RECIPROCAL = """
#if defined(__CUDA_ARCH__)
    float result;
    asm("rcp.approx.f32 %0, %1;" : "=f"(result) : "f"(value));
    return result;
#else
    return 1.0f / value;
#endif
"""

_ROOT = """
#if defined(__CUDA_ARCH__)
    float result;
    asm("sqrt.approx.f32 %0, %1;" : "=f"(result) : "f"(value));
    return result;
#else
    return sqrtf(value);
#endif
"""


@wp.func_native(_RECIPROCAL)
def reciprocal(value: float) -> float: ...


@wp.func_native(_ROOT)
def root(value: float) -> float: ...


@wp.func_native("return unsigned(number) / unsigned(by);")
def quotient(number: int, by: int) -> int: ...


@wp.func_native("return flags.data[index];")
def flag_at(flags: wp.array(dtype=wp.uint8), index: int) -> wp.uint8: ...


@wp.func_native("return slots.data[index];")
def read_single(slots: wp.array(dtype=wp.float32), index: int) -> wp.float32: ...


@wp.func_native("slots.data[index] = value;")
def write_single(slots: wp.array(dtype=wp.float32), index: int, value: wp.float32): ...


@wp.func_native("return slots.data[index];")
def read_half(slots: wp.array(dtype=wp.float16), index: int) -> wp.float16: ...


@wp.func_native("slots.data[index] = value;")
def write_half(slots: wp.array(dtype=wp.float16), index: int, value: wp.float16): ...
