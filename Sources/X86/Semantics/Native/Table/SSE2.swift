// Allow-list: SSE2, double precision and integer vectors.

extension NativeTable {
    static let sse2: StaticString = """
        # Moves
        66.0f10       movupd           =V Wo          | sse2 u
        66.0f11       movupd           =Wo V          | sse2 u
        f2.0f10       movsd            +V U           | sse2
        f2.0f10       movsd            =V Mq          | sse2
        f2.0f11       movsd            +U V           | sse2
        f2.0f11       movsd            =Mq V          | sse2
        66.0f12       movlpd           +V Mq          | sse2
        66.0f13       movlpd           =Mq V          | sse2
        66.0f14       unpcklpd         +V Wo          | sse2
        66.0f15       unpckhpd         +V Wo          | sse2
        66.0f16       movhpd           +V Mq          | sse2
        66.0f17       movhpd           =Mq V          | sse2
        66.0f28       movapd           =V Wo          | sse2
        66.0f29       movapd           =Wo V          | sse2
        66.0f2b       movntpd          =Mo V          | sse2
        66.0f50       movmskpd         =G U           | sse2
        66.0fc6       shufpd           +V Wo I        | sse2
        66.0f6e       movd             =V Ey          | sse2
        66.0f7e       movd             =Ey V          | sse2
        66.0f6f       movdqa           =V Wo          | sse2
        66.0f7f       movdqa           =Wo V          | sse2
        f3.0f6f       movdqu           =V Wo          | sse2 u
        f3.0f7f       movdqu           =Wo V          | sse2 u
        f3.0f7e       movq             =V Wq          | sse2
        66.0fd6       movq             =Wq V          | sse2
        66.0fe7       movntdq          =Mo V          | sse2
        66.0ff7       maskmovdqu       V U            | sse2 masked
        66.0fd7       pmovmskb         =G U           | sse2
        66.0fc4       pinsrw           +V Ew I        | sse2
        66.0fc5       pextrw           =G U I         | sse2
        66.0f70       pshufd           =V Wo I        | sse2
        f3.0f70       pshufhw          =V Wo I        | sse2
        f2.0f70       pshuflw          =V Wo I        | sse2
        # Conversions and comparisons
        f2.0f2a       cvtsi2sd         +V Ey          | sse2 fp
        f2.0f2c       cvttsd2si        =Gy Wq         | sse2 fp
        f2.0f2d       cvtsd2si         =Gy Wq         | sse2 fp
        66.0f2e       ucomisd          V Wq           | sse2 fp setsflags
        66.0f2f       comisd           V Wq           | sse2 fp setsflags
        66.0fc2       cmppd            +V Wo I        | sse2 fp
        f2.0fc2       cmpsd            +V Wq I        | sse2 fp
        0f5a          cvtps2pd         =V Wq          | sse2 fp
        66.0f5a       cvtpd2ps         =V Wo          | sse2 fp
        f3.0f5a       cvtss2sd         +V Wd          | sse2 fp
        f2.0f5a       cvtsd2ss         +V Wq          | sse2 fp
        0f5b          cvtdq2ps         =V Wo          | sse2 fp
        66.0f5b       cvtps2dq         =V Wo          | sse2 fp
        f3.0f5b       cvttps2dq        =V Wo          | sse2 fp
        66.0fe6       cvttpd2dq        =V Wo          | sse2 fp
        f2.0fe6       cvtpd2dq         =V Wo          | sse2 fp
        f3.0fe6       cvtdq2pd         =V Wq          | sse2
        # Arithmetic, double precision
        66.0f51       sqrtpd           =V Wo          | sse2 fp
        f2.0f51       sqrtsd           +V Wq          | sse2 fp
        66.0f54       andpd            +V Wo          | sse2
        66.0f55       andnpd           +V Wo          | sse2
        66.0f56       orpd             +V Wo          | sse2
        66.0f57       xorpd            +V Wo          | sse2
        66.0f58       addpd            +V Wo          | sse2 fp
        f2.0f58       addsd            +V Wq          | sse2 fp
        66.0f59       mulpd            +V Wo          | sse2 fp
        f2.0f59       mulsd            +V Wq          | sse2 fp
        66.0f5c       subpd            +V Wo          | sse2 fp
        f2.0f5c       subsd            +V Wq          | sse2 fp
        66.0f5d       minpd            +V Wo          | sse2 fp
        f2.0f5d       minsd            +V Wq          | sse2 fp
        66.0f5e       divpd            +V Wo          | sse2 fp
        f2.0f5e       divsd            +V Wq          | sse2 fp
        66.0f5f       maxpd            +V Wo          | sse2 fp
        f2.0f5f       maxsd            +V Wq          | sse2 fp
        # Integer vectors
        66.0f60       punpcklbw        +V Wo          | sse2
        66.0f61       punpcklwd        +V Wo          | sse2
        66.0f62       punpckldq        +V Wo          | sse2
        66.0f63       packsswb         +V Wo          | sse2
        66.0f64       pcmpgtb          +V Wo          | sse2
        66.0f65       pcmpgtw          +V Wo          | sse2
        66.0f66       pcmpgtd          +V Wo          | sse2
        66.0f67       packuswb         +V Wo          | sse2
        66.0f68       punpckhbw        +V Wo          | sse2
        66.0f69       punpckhwd        +V Wo          | sse2
        66.0f6a       punpckhdq        +V Wo          | sse2
        66.0f6b       packssdw         +V Wo          | sse2
        66.0f6c       punpcklqdq       +V Wo          | sse2
        66.0f6d       punpckhqdq       +V Wo          | sse2
        66.0f74       pcmpeqb          +V Wo          | sse2
        66.0f75       pcmpeqw          +V Wo          | sse2
        66.0f76       pcmpeqd          +V Wo          | sse2
        66.0fd1       psrlw            +V Wo          | sse2
        66.0fd2       psrld            +V Wo          | sse2
        66.0fd3       psrlq            +V Wo          | sse2
        66.0fd4       paddq            +V Wo          | sse2
        66.0fd5       pmullw           +V Wo          | sse2
        66.0fd8       psubusb          +V Wo          | sse2
        66.0fd9       psubusw          +V Wo          | sse2
        66.0fda       pminub           +V Wo          | sse2
        66.0fdb       pand             +V Wo          | sse2
        66.0fdc       paddusb          +V Wo          | sse2
        66.0fdd       paddusw          +V Wo          | sse2
        66.0fde       pmaxub           +V Wo          | sse2
        66.0fdf       pandn            +V Wo          | sse2
        66.0fe0       pavgb            +V Wo          | sse2
        66.0fe1       psraw            +V Wo          | sse2
        66.0fe2       psrad            +V Wo          | sse2
        66.0fe3       pavgw            +V Wo          | sse2
        66.0fe4       pmulhuw          +V Wo          | sse2
        66.0fe5       pmulhw           +V Wo          | sse2
        66.0fe8       psubsb           +V Wo          | sse2
        66.0fe9       psubsw           +V Wo          | sse2
        66.0fea       pminsw           +V Wo          | sse2
        66.0feb       por              +V Wo          | sse2
        66.0fec       paddsb           +V Wo          | sse2
        66.0fed       paddsw           +V Wo          | sse2
        66.0fee       pmaxsw           +V Wo          | sse2
        66.0fef       pxor             +V Wo          | sse2
        66.0ff1       psllw            +V Wo          | sse2
        66.0ff2       pslld            +V Wo          | sse2
        66.0ff3       psllq            +V Wo          | sse2
        66.0ff4       pmuludq          +V Wo          | sse2
        66.0ff5       pmaddwd          +V Wo          | sse2
        66.0ff6       psadbw           +V Wo          | sse2
        66.0ff8       psubb            +V Wo          | sse2
        66.0ff9       psubw            +V Wo          | sse2
        66.0ffa       psubd            +V Wo          | sse2
        66.0ffb       psubq            +V Wo          | sse2
        66.0ffc       paddb            +V Wo          | sse2
        66.0ffd       paddw            +V Wo          | sse2
        66.0ffe       paddd            +V Wo          | sse2
        66.0f71/2     psrlw            +U I           | sse2
        66.0f71/4     psraw            +U I           | sse2
        66.0f71/6     psllw            +U I           | sse2
        66.0f72/2     psrld            +U I           | sse2
        66.0f72/4     psrad            +U I           | sse2
        66.0f72/6     pslld            +U I           | sse2
        66.0f73/2     psrlq            +U I           | sse2
        66.0f73/6     psllq            +U I           | sse2
        66.0f73/3     psrldq           +U I           | sse2
        66.0f73/7     pslldq           +U I           | sse2
        """
}
