// Allow-list: SSE4.1 and SSE4.2. The string comparisons take misaligned operands.

extension NativeTable {
    static let sse4: StaticString = """
        # SSE4.1: moves, blends, extensions
        66.0f3810     pblendvb         +V Wo X        | sse41
        66.0f3814     blendvps         +V Wo X        | sse41
        66.0f3815     blendvpd         +V Wo X        | sse41
        66.0f3a0c     blendps          +V Wo I        | sse41
        66.0f3a0d     blendpd          +V Wo I        | sse41
        66.0f3a0e     pblendw          +V Wo I        | sse41
        66.0f382a     movntdqa         =V Mo          | sse41
        66.0f3820     pmovsxbw         =V Wq          | sse41
        66.0f3821     pmovsxbd         =V Wd          | sse41
        66.0f3822     pmovsxbq         =V Ww          | sse41
        66.0f3823     pmovsxwd         =V Wq          | sse41
        66.0f3824     pmovsxwq         =V Wd          | sse41
        66.0f3825     pmovsxdq         =V Wq          | sse41
        66.0f3830     pmovzxbw         =V Wq          | sse41
        66.0f3831     pmovzxbd         =V Wd          | sse41
        66.0f3832     pmovzxbq         =V Ww          | sse41
        66.0f3833     pmovzxwd         =V Wq          | sse41
        66.0f3834     pmovzxwq         =V Wd          | sse41
        66.0f3835     pmovzxdq         =V Wq          | sse41
        66.0f3a14     pextrb           =Eb V I        | sse41
        66.0f3a15     pextrw           =Ew V I        | sse41
        66.0f3a16     pextrd           =Ey V I        | sse41
        66.0f3a17     extractps        =Ed V I        | sse41
        66.0f3a20     pinsrb           +V Eb I        | sse41
        66.0f3a21     insertps         +V Wd I        | sse41
        66.0f3a22     pinsrd           +V Ey I        | sse41
        # SSE4.1: computation
        66.0f3817     ptest            V Wo           | sse41 setsflags
        66.0f3841     phminposuw       =V Wo          | sse41
        66.0f3a08     roundps          =V Wo I        | sse41 fp
        66.0f3a09     roundpd          =V Wo I        | sse41 fp
        66.0f3a0a     roundss          +V Wd I        | sse41 fp
        66.0f3a0b     roundsd          +V Wq I        | sse41 fp
        66.0f3a40     dpps             +V Wo I        | sse41 fp
        66.0f3a41     dppd             +V Wo I        | sse41 fp
        66.0f3a42     mpsadbw          +V Wo I        | sse41
        66.0f3828     pmuldq           +V Wo          | sse41
        66.0f3829     pcmpeqq          +V Wo          | sse41
        66.0f382b     packusdw         +V Wo          | sse41
        66.0f3838     pminsb           +V Wo          | sse41
        66.0f3839     pminsd           +V Wo          | sse41
        66.0f383a     pminuw           +V Wo          | sse41
        66.0f383b     pminud           +V Wo          | sse41
        66.0f383c     pmaxsb           +V Wo          | sse41
        66.0f383d     pmaxsd           +V Wo          | sse41
        66.0f383e     pmaxuw           +V Wo          | sse41
        66.0f383f     pmaxud           +V Wo          | sse41
        66.0f3840     pmulld           +V Wo          | sse41
        # SSE4.2
        66.0f3837     pcmpgtq          +V Wo          | sse42
        66.0f3a60     pcmpestrm        V Wo I A D =X  | sse42 u wide setsflags
        66.0f3a61     pcmpestri        V Wo I A D =C  | sse42 u wide setsflags
        66.0f3a62     pcmpistrm        V Wo I =X      | sse42 u setsflags
        66.0f3a63     pcmpistri        V Wo I =C      | sse42 u setsflags
        """
}
