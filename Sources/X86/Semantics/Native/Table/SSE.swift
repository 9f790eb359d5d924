// Allow-list: SSE, single precision. 16-byte memory operands must be aligned except where a row says `u`.

extension NativeTable {
    static let sse: StaticString = """
        # Moves
        0f10          movups           =V Wo          | sse u
        0f11          movups           =Wo V          | sse u
        f3.0f10       movss            +V U           | sse
        f3.0f10       movss            =V Md          | sse
        f3.0f11       movss            +U V           | sse
        f3.0f11       movss            =Md V          | sse
        0f12          movhlps          +V U           | sse
        0f12          movlps           +V Mq          | sse
        0f13          movlps           =Mq V          | sse
        0f14          unpcklps         +V Wo          | sse
        0f15          unpckhps         +V Wo          | sse
        0f16          movlhps          +V U           | sse
        0f16          movhps           +V Mq          | sse
        0f17          movhps           =Mq V          | sse
        0f28          movaps           =V Wo          | sse
        0f29          movaps           =Wo V          | sse
        0f2b          movntps          =Mo V          | sse
        0f50          movmskps         =G U           | sse
        0fc6          shufps           +V Wo I        | sse
        # Conversions and comparisons
        f3.0f2a       cvtsi2ss         +V Ey          | sse fp
        f3.0f2c       cvttss2si        =Gy Wd         | sse fp
        f3.0f2d       cvtss2si         =Gy Wd         | sse fp
        0f2e          ucomiss          V Wd           | sse fp setsflags
        0f2f          comiss           V Wd           | sse fp setsflags
        0fc2          cmpps            +V Wo I        | sse fp
        f3.0fc2       cmpss            +V Wd I        | sse fp
        # Arithmetic
        0f51          sqrtps           =V Wo          | sse fp
        f3.0f51       sqrtss           +V Wd          | sse fp
        0f52          rsqrtps          =V Wo          | sse
        f3.0f52       rsqrtss          +V Wd          | sse
        0f53          rcpps            =V Wo          | sse
        f3.0f53       rcpss            +V Wd          | sse
        0f54          andps            +V Wo          | sse
        0f55          andnps           +V Wo          | sse
        0f56          orps             +V Wo          | sse
        0f57          xorps            +V Wo          | sse
        0f58          addps            +V Wo          | sse fp
        f3.0f58       addss            +V Wd          | sse fp
        0f59          mulps            +V Wo          | sse fp
        f3.0f59       mulss            +V Wd          | sse fp
        0f5c          subps            +V Wo          | sse fp
        f3.0f5c       subss            +V Wd          | sse fp
        0f5d          minps            +V Wo          | sse fp
        f3.0f5d       minss            +V Wd          | sse fp
        0f5e          divps            +V Wo          | sse fp
        f3.0f5e       divss            +V Wd          | sse fp
        0f5f          maxps            +V Wo          | sse fp
        f3.0f5f       maxss            +V Wd          | sse fp
        """
}
