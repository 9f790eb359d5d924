// Allow-list: AES-NI, PCLMULQDQ and the SHA extensions. VEX forms need AVX too.

extension NativeTable {
    static let crypto: StaticString = """
        66.0f38db     aesimc           =V Wo          | aes
        66.0f38dc     aesenc           +V Wo          | aes
        66.0f38dd     aesenclast       +V Wo          | aes
        66.0f38de     aesdec           +V Wo          | aes
        66.0f38df     aesdeclast       +V Wo          | aes
        66.0f3adf     aeskeygenassist  =V Wo I        | aes
        66.0f3a44     pclmulqdq        +V Wo I        | pclmul
        0f38c8        sha1nexte        +V Wo          | sha
        0f38c9        sha1msg1         +V Wo          | sha
        0f38ca        sha1msg2         +V Wo          | sha
        0f38cb        sha256rnds2      +V Wo X        | sha
        0f38cc        sha256msg1       +V Wo          | sha
        0f38cd        sha256msg2       +V Wo          | sha
        0f3acc        sha1rnds4        +V Wo I        | sha
        v.66.0f38db   vaesimc          =V Wo          | aes l0
        v.66.0f38dc   vaesenc          =V H Wo        | aes l0
        v.66.0f38dd   vaesenclast      =V H Wo        | aes l0
        v.66.0f38de   vaesdec          =V H Wo        | aes l0
        v.66.0f38df   vaesdeclast      =V H Wo        | aes l0
        v.66.0f3adf   vaeskeygenassist =V Wo I        | aes l0
        v.66.0f3a44   vpclmulqdq       =V H Wo I      | pclmul l0
        """
}
