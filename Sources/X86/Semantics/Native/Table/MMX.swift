// Allow-list: MMX instructions, with those that SSE, SSE2 and SSSE3 added to them. CVTPI2PS and CVTPI2PD from
// memory touch no MMX register and are rows of their own, since they leave the x87 stack alone.

extension NativeTable {
    static let mmx: StaticString = """
        # Moves
        0f6e          movd             =P Ey          | mmx
        0f7e          movd             =Ey P          | mmx
        0f6f          movq             =P Qq          | mmx
        0f7f          movq             =Qq P          | mmx
        0fe7          movntq           =Mq P          | sse
        0ff7          maskmovq         P N            | sse masked
        0fd7          pmovmskb         =G N           | sse
        0fc4          pinsrw           +P Ew I        | sse
        0fc5          pextrw           =G N I         | sse
        0f70          pshufw           =P Qq I        | sse
        # Computation
        0f60          punpcklbw        +P Qd          | mmx
        0f61          punpcklwd        +P Qd          | mmx
        0f62          punpckldq        +P Qd          | mmx
        0f63          packsswb         +P Qq          | mmx
        0f64          pcmpgtb          +P Qq          | mmx
        0f65          pcmpgtw          +P Qq          | mmx
        0f66          pcmpgtd          +P Qq          | mmx
        0f67          packuswb         +P Qq          | mmx
        0f68          punpckhbw        +P Qq          | mmx
        0f69          punpckhwd        +P Qq          | mmx
        0f6a          punpckhdq        +P Qq          | mmx
        0f6b          packssdw         +P Qq          | mmx
        0f74          pcmpeqb          +P Qq          | mmx
        0f75          pcmpeqw          +P Qq          | mmx
        0f76          pcmpeqd          +P Qq          | mmx
        0fd1          psrlw            +P Qq          | mmx
        0fd2          psrld            +P Qq          | mmx
        0fd3          psrlq            +P Qq          | mmx
        0fd4          paddq            +P Qq          | sse2
        0fd5          pmullw           +P Qq          | mmx
        0fd8          psubusb          +P Qq          | mmx
        0fd9          psubusw          +P Qq          | mmx
        0fda          pminub           +P Qq          | sse
        0fdb          pand             +P Qq          | mmx
        0fdc          paddusb          +P Qq          | mmx
        0fdd          paddusw          +P Qq          | mmx
        0fde          pmaxub           +P Qq          | sse
        0fdf          pandn            +P Qq          | mmx
        0fe0          pavgb            +P Qq          | sse
        0fe1          psraw            +P Qq          | mmx
        0fe2          psrad            +P Qq          | mmx
        0fe3          pavgw            +P Qq          | sse
        0fe4          pmulhuw          +P Qq          | sse
        0fe5          pmulhw           +P Qq          | mmx
        0fe8          psubsb           +P Qq          | mmx
        0fe9          psubsw           +P Qq          | mmx
        0fea          pminsw           +P Qq          | sse
        0feb          por              +P Qq          | mmx
        0fec          paddsb           +P Qq          | mmx
        0fed          paddsw           +P Qq          | mmx
        0fee          pmaxsw           +P Qq          | sse
        0fef          pxor             +P Qq          | mmx
        0ff1          psllw            +P Qq          | mmx
        0ff2          pslld            +P Qq          | mmx
        0ff3          psllq            +P Qq          | mmx
        0ff4          pmuludq          +P Qq          | sse2
        0ff5          pmaddwd          +P Qq          | mmx
        0ff6          psadbw           +P Qq          | sse
        0ff8          psubb            +P Qq          | mmx
        0ff9          psubw            +P Qq          | mmx
        0ffa          psubd            +P Qq          | mmx
        0ffb          psubq            +P Qq          | sse2
        0ffc          paddb            +P Qq          | mmx
        0ffd          paddw            +P Qq          | mmx
        0ffe          paddd            +P Qq          | mmx
        0f71/2        psrlw            +N I           | mmx
        0f71/4        psraw            +N I           | mmx
        0f71/6        psllw            +N I           | mmx
        0f72/2        psrld            +N I           | mmx
        0f72/4        psrad            +N I           | mmx
        0f72/6        pslld            +N I           | mmx
        0f73/2        psrlq            +N I           | mmx
        0f73/6        psllq            +N I           | mmx
        0f3800        pshufb           +P Qq          | ssse3
        0f3801        phaddw           +P Qq          | ssse3
        0f3802        phaddd           +P Qq          | ssse3
        0f3803        phaddsw          +P Qq          | ssse3
        0f3804        pmaddubsw        +P Qq          | ssse3
        0f3805        phsubw           +P Qq          | ssse3
        0f3806        phsubd           +P Qq          | ssse3
        0f3807        phsubsw          +P Qq          | ssse3
        0f3808        psignb           +P Qq          | ssse3
        0f3809        psignw           +P Qq          | ssse3
        0f380a        psignd           +P Qq          | ssse3
        0f380b        pmulhrsw         +P Qq          | ssse3
        0f381c        pabsb            =P Qq          | ssse3
        0f381d        pabsw            =P Qq          | ssse3
        0f381e        pabsd            =P Qq          | ssse3
        0f3a0f        palignr          +P Qq I        | ssse3
        # Between MMX and XMM registers
        0f2a          cvtpi2ps         +V N           | sse fp
        0f2a          cvtpi2ps         +V Mq          | sse fp
        0f2c          cvttps2pi        =P Wq          | sse fp
        0f2d          cvtps2pi         =P Wq          | sse fp
        66.0f2a       cvtpi2pd         =V N           | sse2
        66.0f2a       cvtpi2pd         =V Mq          | sse2
        66.0f2c       cvttpd2pi        =P Wo          | sse2 fp
        66.0f2d       cvtpd2pi         =P Wo          | sse2 fp
        f2.0fd6       movdq2q          =P U           | sse2
        f3.0fd6       movq2dq          =V N           | sse2
        """
}
