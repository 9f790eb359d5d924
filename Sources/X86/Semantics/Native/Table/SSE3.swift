// Allow-list: SSE3 and SSSE3 on XMM registers.

extension NativeTable {
    static let sse3: StaticString = """
        # SSE3
        66.0f7c       haddpd           +V Wo          | sse3 fp
        f2.0f7c       haddps           +V Wo          | sse3 fp
        66.0f7d       hsubpd           +V Wo          | sse3 fp
        f2.0f7d       hsubps           +V Wo          | sse3 fp
        66.0fd0       addsubpd         +V Wo          | sse3 fp
        f2.0fd0       addsubps         +V Wo          | sse3 fp
        f3.0f12       movsldup         =V Wo          | sse3
        f3.0f16       movshdup         =V Wo          | sse3
        f2.0f12       movddup          =V Wq          | sse3
        f2.0ff0       lddqu            =V Mo          | sse3 u
        # SSSE3
        66.0f3800     pshufb           +V Wo          | ssse3
        66.0f3801     phaddw           +V Wo          | ssse3
        66.0f3802     phaddd           +V Wo          | ssse3
        66.0f3803     phaddsw          +V Wo          | ssse3
        66.0f3804     pmaddubsw        +V Wo          | ssse3
        66.0f3805     phsubw           +V Wo          | ssse3
        66.0f3806     phsubd           +V Wo          | ssse3
        66.0f3807     phsubsw          +V Wo          | ssse3
        66.0f3808     psignb           +V Wo          | ssse3
        66.0f3809     psignw           +V Wo          | ssse3
        66.0f380a     psignd           +V Wo          | ssse3
        66.0f380b     pmulhrsw         +V Wo          | ssse3
        66.0f381c     pabsb            =V Wo          | ssse3
        66.0f381d     pabsw            =V Wo          | ssse3
        66.0f381e     pabsd            =V Wo          | ssse3
        66.0f3a0f     palignr          +V Wo I        | ssse3
        """
}
