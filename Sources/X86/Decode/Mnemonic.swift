// What an instruction is, apart from how its operands are encoded: the names of the integer and system instructions, as
// the manuals spell them. Pure x87, MMX, SSE, AVX and BMI computation is one name, `native`, with a table row behind it.

/// The operation of a decoded instruction; `tz_instruction.mnemonic` holds the raw value.
package enum Mnemonic: UInt16, CaseIterable {
    /// No such instruction: #UD.
    case invalid
    /// Runs natively on the host CPU; `tz_instruction.row` says what it is.
    case native

    // Integer
    case add, or, adc, sbb, and, sub, xor, cmp, test
    case mov, movzx, movsx, movsxd, xchg, lea, bswap, movbe, movnti
    case movLoadAbsolute, movStoreAbsolute  // A0…A3: the offset is in `immediate`, the register is the accumulator
    case inc, dec, neg, not
    case rol, ror, rcl, rcr, shl, shr, sar, shld, shrd
    case mul, imul, imul2, div, idiv  // imul: one operand; imul2: two or three
    case cbw, cwd  // CBW CWDE CDQE; CWD CDQ CQO
    case bt, bts, btr, btc, bsf, bsr, popcnt, lzcnt, tzcnt, crc32
    case adcx, adox
    case setcc, cmovcc, jcc  // condition: `opcode` & 15
    case cmpxchg, cmpxchg8b, cmpxchg16b, xadd
    case push, pop, pusha, popa, pushf, popf, enter, leave
    case call, callIndirect, jmp, jmpIndirect, ret  // near
    case loop, loope, loopne, jcxz
    case movs, cmps, stos, lods, scas
    case xlat, lahf, sahf, clc, stc, cmc, cld, std
    case aaa, aas, aam, aad, daa, das, bound, salc
    case nop, pause, ud

    // System
    case pushSegment, popSegment, movFromSegment, movToSegment
    case lds, les, lss, lfs, lgs
    case callFar, callFarIndirect, jmpFar, jmpFarIndirect, retFar, iret
    case int, int3, into, int1
    case syscall, sysret, sysenter, sysexit
    case cli, sti, hlt, `in`, out, ins, outs
    case movFromCR, movToCR, movFromDR, movToDR, clts, smsw, lmsw
    case sgdt, sidt, lgdt, lidt, sldt, str, lldt, ltr, lar, lsl, verr, verw, arpl
    case invlpg, invd, wbinvd, invpcid, rdmsr, wrmsr, rdtsc, rdtscp, rdpmc, cpuid, rdpid
    case swapgs, rdfsbase, rdgsbase, wrfsbase, wrgsbase, stac, clac
    case vmcall, vmmcall, monitor, mwait, rsm
    case rdrand, rdseed
    case clflush, clflushopt, clwb, pcommit, prefetch, lfence, mfence, sfence, cldemote
    case xgetbv, xsetbv, rdpkru, wrpkru

    // Floating-point and vector state, written out rather than run natively
    case fxsave, fxrstor, xsave, xsaveopt, xsavec, xsaves, xrstor, xrstors
    case ldmxcsr, stmxcsr
    case fnstcw, fldcw, fnstsw, fnstswAX, fnstenv, fldenv, fnsave, frstor, fninit, fnclex, fwait, emms
}

/// How an instruction's operands are laid out; `tz_instruction.form` holds the raw value. A register encoded in the
/// opcode byte counts as r/m. At most one operand is in memory, always r/m.
package enum OperandForm: UInt8 {
    /// No explicit operand.
    case none
    /// One operand, r/m.
    case rm
    /// r/m ← r/m OP reg
    case rm_r
    /// reg ← reg OP r/m
    case r_rm
    /// r/m ← r/m OP immediate
    case rm_i
    /// r/m ← r/m OP CL (shifts)
    case rm_c
    /// reg ← r/m OP immediate (IMUL)
    case r_rm_i
    /// r/m ← r/m, reg OP immediate (SHLD, SHRD)
    case rm_r_i
    /// r/m ← r/m, reg OP CL
    case rm_r_c
    /// Immediate only (PUSH, INT, RET n, IN/OUT with port)
    case i
    /// Branch displacement, in `immediate`
    case relative
    /// Far pointer: offset in `immediate`, selector in `row`
    case far
    /// Port in DX (IN, OUT)
    case dx
    /// ModRM.reg is an opcode extension or a control, debug or segment register number in `reg`; r/m as usual
    case special
}
