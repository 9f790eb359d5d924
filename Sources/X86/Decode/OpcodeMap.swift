// The opcode map of the integer and system instructions as text, one row for each encoding (SDM volume 2, appendix A).
// `OpcodeTable` parses it once. Pure x87, MMX, SSE, AVX and BMI computation has a table of its own in
// Semantics/Native; rows here win over rows there.
//
// A row: OPCODE[/EXT|=MODRM] MNEMONIC FORM WIDTH [IMMEDIATE] [CONSTRAINT…]
//   OPCODE      hexadecimal bytes after the prefixes; a trailing + means that the low 3 bits are a register (as r/m);
//               a trailing * stands for all 16 opcodes with the same high digit
//   /EXT        ModRM.reg; =MODRM the whole ModRM byte
//   FORM        an `OperandForm`; rm, rm_r, … imply a ModRM byte unless OPCODE ends with + or the row says acc
//   WIDTH       b 1, w 2, d 4, q 8; v by operand size; y 4 or 8 by REX.W; n 8 in 64-bit mode else 4; - none
//   IMMEDIATE   ib signed byte, ub unsigned byte, iw 2 bytes unsigned, iz 2 or 4 bytes signed, iv up to 8 bytes, jb and
//               jz branch displacements, far, moffs, enter
//   CONSTRAINT  mem, reg: kind of r/m; np, 66, f2, f3: mandatory prefix; only64, no64: mode; lock: LOCK is allowed with
//               a memory destination; d64: operand size defaults to 64 bits in 64-bit mode; f64: is forced to 64 bits;
//               end: ends a block; acc: r/m is the accumulator, no ModRM; modrm: has ModRM though the form doesn't
//               say so; srcb, srcw, srcd: width of a narrower source

enum OpcodeMap {
    static let rows: StaticString = """
        00 add rm_r b lock
        01 add rm_r v lock
        02 add r_rm b
        03 add r_rm v
        04 add rm_i b ib acc
        05 add rm_i v iz acc
        06 pushSegment none v no64
        07 popSegment none v no64 end
        08 or rm_r b lock
        09 or rm_r v lock
        0a or r_rm b
        0b or r_rm v
        0c or rm_i b ib acc
        0d or rm_i v iz acc
        0e pushSegment none v no64
        10 adc rm_r b lock
        11 adc rm_r v lock
        12 adc r_rm b
        13 adc r_rm v
        14 adc rm_i b ib acc
        15 adc rm_i v iz acc
        16 pushSegment none v no64
        17 popSegment none v no64 end
        18 sbb rm_r b lock
        19 sbb rm_r v lock
        1a sbb r_rm b
        1b sbb r_rm v
        1c sbb rm_i b ib acc
        1d sbb rm_i v iz acc
        1e pushSegment none v no64
        1f popSegment none v no64 end
        20 and rm_r b lock
        21 and rm_r v lock
        22 and r_rm b
        23 and r_rm v
        24 and rm_i b ib acc
        25 and rm_i v iz acc
        27 daa none - no64
        28 sub rm_r b lock
        29 sub rm_r v lock
        2a sub r_rm b
        2b sub r_rm v
        2c sub rm_i b ib acc
        2d sub rm_i v iz acc
        2f das none - no64
        30 xor rm_r b lock
        31 xor rm_r v lock
        32 xor r_rm b
        33 xor r_rm v
        34 xor rm_i b ib acc
        35 xor rm_i v iz acc
        37 aaa none - no64
        38 cmp rm_r b
        39 cmp rm_r v
        3a cmp r_rm b
        3b cmp r_rm v
        3c cmp rm_i b ib acc
        3d cmp rm_i v iz acc
        3f aas none - no64
        40+ inc rm v no64
        48+ dec rm v no64
        50+ push rm v d64
        58+ pop rm v d64
        60 pusha none v no64
        61 popa none v no64
        62 bound r_rm v no64 mem
        63 arpl rm_r w no64
        63 movsxd r_rm v only64 srcd
        68 push i v iz d64
        69 imul2 r_rm_i v iz
        6a push i v ib d64
        6b imul2 r_rm_i v ib
        6c ins none b end
        6d ins none v end
        6e outs none b end
        6f outs none v end
        7* jcc relative v jb f64 end
        80/0 add rm_i b ib lock
        80/1 or rm_i b ib lock
        80/2 adc rm_i b ib lock
        80/3 sbb rm_i b ib lock
        80/4 and rm_i b ib lock
        80/5 sub rm_i b ib lock
        80/6 xor rm_i b ib lock
        80/7 cmp rm_i b ib
        81/0 add rm_i v iz lock
        81/1 or rm_i v iz lock
        81/2 adc rm_i v iz lock
        81/3 sbb rm_i v iz lock
        81/4 and rm_i v iz lock
        81/5 sub rm_i v iz lock
        81/6 xor rm_i v iz lock
        81/7 cmp rm_i v iz
        82/0 add rm_i b ib lock no64
        82/1 or rm_i b ib lock no64
        82/2 adc rm_i b ib lock no64
        82/3 sbb rm_i b ib lock no64
        82/4 and rm_i b ib lock no64
        82/5 sub rm_i b ib lock no64
        82/6 xor rm_i b ib lock no64
        82/7 cmp rm_i b ib no64
        83/0 add rm_i v ib lock
        83/1 or rm_i v ib lock
        83/2 adc rm_i v ib lock
        83/3 sbb rm_i v ib lock
        83/4 and rm_i v ib lock
        83/5 sub rm_i v ib lock
        83/6 xor rm_i v ib lock
        83/7 cmp rm_i v ib
        84 test rm_r b
        85 test rm_r v
        86 xchg rm_r b lock
        87 xchg rm_r v lock
        88 mov rm_r b
        89 mov rm_r v
        8a mov r_rm b
        8b mov r_rm v
        8c movFromSegment special v
        8d lea r_rm v mem
        8e movToSegment special w end
        8f/0 pop rm v d64
        90+ xchg rm_r v
        98 cbw none v
        99 cwd none v
        9a callFar far v far no64 end
        9b fwait none -
        9c pushf none v d64
        9d popf none v d64 end
        9e sahf none -
        9f lahf none -
        a0 movLoadAbsolute none b moffs
        a1 movLoadAbsolute none v moffs
        a2 movStoreAbsolute none b moffs
        a3 movStoreAbsolute none v moffs
        a4 movs none b
        a5 movs none v
        a6 cmps none b
        a7 cmps none v
        a8 test rm_i b ib acc
        a9 test rm_i v iz acc
        aa stos none b
        ab stos none v
        ac lods none b
        ad lods none v
        ae scas none b
        af scas none v
        b0+ mov rm_i b ib
        b8+ mov rm_i v iv
        c0/0 rol rm_i b ub
        c0/1 ror rm_i b ub
        c0/2 rcl rm_i b ub
        c0/3 rcr rm_i b ub
        c0/4 shl rm_i b ub
        c0/5 shr rm_i b ub
        c0/6 shl rm_i b ub
        c0/7 sar rm_i b ub
        c1/0 rol rm_i v ub
        c1/1 ror rm_i v ub
        c1/2 rcl rm_i v ub
        c1/3 rcr rm_i v ub
        c1/4 shl rm_i v ub
        c1/5 shr rm_i v ub
        c1/6 shl rm_i v ub
        c1/7 sar rm_i v ub
        c2 ret i v iw f64 end
        c3 ret none v f64 end
        c4 les r_rm v no64 mem end
        c5 lds r_rm v no64 mem end
        c6/0 mov rm_i b ib
        c7/0 mov rm_i v iz
        c8 enter none v enter d64
        c9 leave none v d64
        ca retFar i v iw end
        cb retFar none v end
        cc int3 none - end
        cd int i - ub end
        ce into none - no64 end
        cf iret none v end
        d0/0 rol rm_i b one
        d0/1 ror rm_i b one
        d0/2 rcl rm_i b one
        d0/3 rcr rm_i b one
        d0/4 shl rm_i b one
        d0/5 shr rm_i b one
        d0/6 shl rm_i b one
        d0/7 sar rm_i b one
        d1/0 rol rm_i v one
        d1/1 ror rm_i v one
        d1/2 rcl rm_i v one
        d1/3 rcr rm_i v one
        d1/4 shl rm_i v one
        d1/5 shr rm_i v one
        d1/6 shl rm_i v one
        d1/7 sar rm_i v one
        d2/0 rol rm_c b
        d2/1 ror rm_c b
        d2/2 rcl rm_c b
        d2/3 rcr rm_c b
        d2/4 shl rm_c b
        d2/5 shr rm_c b
        d2/6 shl rm_c b
        d2/7 sar rm_c b
        d3/0 rol rm_c v
        d3/1 ror rm_c v
        d3/2 rcl rm_c v
        d3/3 rcr rm_c v
        d3/4 shl rm_c v
        d3/5 shr rm_c v
        d3/6 shl rm_c v
        d3/7 sar rm_c v
        d4 aam i - ub no64
        d5 aad i - ub no64
        d6 salc none - no64
        d7 xlat none b
        d9/4 fldenv special v mem
        d9/5 fldcw special w mem
        d9/6 fnstenv special v mem
        d9/7 fnstcw special w mem
        db=e0 nop none -
        db=e1 nop none -
        db=e2 fnclex none -
        db=e3 fninit none -
        db=e4 nop none -
        dd/4 frstor special v mem
        dd/6 fnsave special v mem
        dd/7 fnstsw special w mem
        df=e0 fnstswAX none w
        e0 loopne relative v jb f64 end
        e1 loope relative v jb f64 end
        e2 loop relative v jb f64 end
        e3 jcxz relative v jb f64 end
        e4 in i b ub end
        e5 in i v ub end
        e6 out i b ub end
        e7 out i v ub end
        e8 call relative v jz f64 end
        e9 jmp relative v jz f64 end
        ea jmpFar far v far no64 end
        eb jmp relative v jb f64 end
        ec in dx b end
        ed in dx v end
        ee out dx b end
        ef out dx v end
        f1 int1 none - end
        f4 hlt none - end
        f5 cmc none -
        f6/0 test rm_i b ib
        f6/1 test rm_i b ib
        f6/2 not rm b lock
        f6/3 neg rm b lock
        f6/4 mul rm b
        f6/5 imul rm b
        f6/6 div rm b
        f6/7 idiv rm b
        f7/0 test rm_i v iz
        f7/1 test rm_i v iz
        f7/2 not rm v lock
        f7/3 neg rm v lock
        f7/4 mul rm v
        f7/5 imul rm v
        f7/6 div rm v
        f7/7 idiv rm v
        f8 clc none -
        f9 stc none -
        fa cli none -
        fb sti none -
        fc cld none -
        fd std none -
        fe/0 inc rm b lock
        fe/1 dec rm b lock
        ff/0 inc rm v lock
        ff/1 dec rm v lock
        ff/2 callIndirect rm v f64 end
        ff/3 callFarIndirect rm v mem end
        ff/4 jmpIndirect rm v f64 end
        ff/5 jmpFarIndirect rm v mem end
        ff/6 push rm v d64
        0f00/0 sldt rm v
        0f00/1 str rm v
        0f00/2 lldt rm w end
        0f00/3 ltr rm w end
        0f00/4 verr rm w
        0f00/5 verw rm w
        0f01/0 sgdt rm n mem
        0f01/1 sidt rm n mem
        0f01/2 lgdt rm n mem end
        0f01/3 lidt rm n mem end
        0f01/4 smsw rm v
        0f01/6 lmsw rm w end
        0f01/7 invlpg rm - mem end
        0f01=c1 vmcall none - np end
        0f01=d9 vmmcall none - end
        0f01=c8 monitor none - np
        0f01=c9 mwait none - np end
        0f01=ca clac none - np end
        0f01=cb stac none - np end
        0f01=d0 xgetbv none - np
        0f01=d1 xsetbv none - np end
        0f01=ee rdpkru none - np
        0f01=ef wrpkru none - np end
        0f01=f8 swapgs none - only64
        0f01=f9 rdtscp none - end
        0f02 lar r_rm v srcw
        0f03 lsl r_rm v srcw
        0f05 syscall none - end
        0f06 clts none - end
        0f07 sysret none y end
        0f08 invd none - end
        0f09 wbinvd none - end
        0f0b ud none - end
        0f0d prefetch rm - mem
        0f0d nop rm - reg
        0f18 prefetch rm - mem
        0f18 nop rm v reg
        0f19 nop rm v
        0f1a nop rm v
        0f1b nop rm v
        0f1c nop rm v
        0f1d nop rm v
        0f1e nop rm v
        0f1f nop rm v
        0f20 movFromCR special n creg
        0f21 movFromDR special n creg
        0f22 movToCR special n creg end
        0f23 movToDR special n creg end
        0f30 wrmsr none - end
        0f31 rdtsc none - end
        0f32 rdmsr none - end
        0f33 rdpmc none - end
        0f34 sysenter none - end
        0f35 sysexit none y end
        0f4* cmovcc r_rm v
        0f77 emms none - np
        0f8* jcc relative v jz f64 end
        0f9* setcc rm b
        0fa0 pushSegment none v d64
        0fa1 popSegment none v d64 end
        0fa2 cpuid none - end
        0fa3 bt rm_r v
        0fa4 shld rm_r_i v ub
        0fa5 shld rm_r_c v
        0fa8 pushSegment none v d64
        0fa9 popSegment none v d64 end
        0faa rsm none - end
        0fab bts rm_r v lock
        0fac shrd rm_r_i v ub
        0fad shrd rm_r_c v
        0fae/0 fxsave special y mem np
        0fae/1 fxrstor special y mem np
        0fae/2 ldmxcsr special d mem np
        0fae/3 stmxcsr special d mem np
        0fae/4 xsave special y mem np
        0fae/5 xrstor special y mem np
        0fae/6 xsaveopt special y mem np
        0fae/7 clflush rm - mem np
        0fae/6 clwb rm - mem 66
        0fae/7 clflushopt rm - mem 66
        0fae/5 lfence none - reg np modrm
        0fae/6 mfence none - reg np modrm
        0fae/7 sfence none - reg np modrm
        0fae=f8 pcommit none - 66
        0fae/0 rdfsbase rm y reg f3 only64
        0fae/1 rdgsbase rm y reg f3 only64
        0fae/2 wrfsbase rm y reg f3 only64 end
        0fae/3 wrgsbase rm y reg f3 only64 end
        0faf imul2 r_rm v
        0fb0 cmpxchg rm_r b lock
        0fb1 cmpxchg rm_r v lock
        0fb2 lss r_rm v mem end
        0fb3 btr rm_r v lock
        0fb4 lfs r_rm v mem end
        0fb5 lgs r_rm v mem end
        0fb6 movzx r_rm v srcb
        0fb7 movzx r_rm v srcw
        0fb8 popcnt r_rm v f3
        0fb9 ud rm - end
        0fba/4 bt rm_i v ub
        0fba/5 bts rm_i v ub lock
        0fba/6 btr rm_i v ub lock
        0fba/7 btc rm_i v ub lock
        0fbb btc rm_r v lock
        0fbc bsf r_rm v
        0fbc tzcnt r_rm v f3
        0fbd bsr r_rm v
        0fbd lzcnt r_rm v f3
        0fbe movsx r_rm v srcb
        0fbf movsx r_rm v srcw
        0fc0 xadd rm_r b lock
        0fc1 xadd rm_r v lock
        0fc3 movnti rm_r y mem np
        0fc7/1 cmpxchg8b rm y mem lock
        0fc7/3 xrstors special y mem np
        0fc7/4 xsavec special y mem np
        0fc7/5 xsaves special y mem np
        0fc7/6 rdrand rm v reg np
        0fc7/6 rdrand rm v reg 66
        0fc7/7 rdseed rm v reg np
        0fc7/7 rdseed rm v reg 66
        0fc7/7 rdpid rm n reg f3
        0fc8+ bswap rm v
        0fff ud rm - end
        0f3882 invpcid r_rm n mem 66 end
        0f38f0 movbe r_rm v mem np
        0f38f0 movbe r_rm v mem 66
        0f38f0 crc32 r_rm y f2 srcb
        0f38f1 movbe rm_r v mem np
        0f38f1 movbe rm_r v mem 66
        0f38f1 crc32 r_rm y f2 srcv
        0f38f6 adcx r_rm y 66
        0f38f6 adox r_rm y f3
        """
}
