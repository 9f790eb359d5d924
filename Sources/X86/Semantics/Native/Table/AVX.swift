// Allow-list: AVX but for 256-bit integer vectors, and F16C. Memory operands may be misaligned except where a row says
// `a`; where no operand is in VEX.vvvv it must be 1111b.

extension NativeTable {
    static let avx: StaticString = """
        # Moves
        v.0f10        vmovups          =V Wx          | avx
        v.0f11        vmovups          =Wx V          | avx
        v.66.0f10     vmovupd          =V Wx          | avx
        v.66.0f11     vmovupd          =Wx V          | avx
        v.f3.0f10     vmovss           =V H U         | avx lig
        v.f3.0f10     vmovss           =V Md          | avx lig
        v.f3.0f11     vmovss           =U H V         | avx lig
        v.f3.0f11     vmovss           =Md V          | avx lig
        v.f2.0f10     vmovsd           =V H U         | avx lig
        v.f2.0f10     vmovsd           =V Mq          | avx lig
        v.f2.0f11     vmovsd           =U H V         | avx lig
        v.f2.0f11     vmovsd           =Mq V          | avx lig
        v.0f12        vmovhlps         =V H U         | avx l0
        v.0f12        vmovlps          =V H Mq        | avx l0
        v.0f13        vmovlps          =Mq V          | avx l0
        v.66.0f12     vmovlpd          =V H Mq        | avx l0
        v.66.0f13     vmovlpd          =Mq V          | avx l0
        v.f3.0f12     vmovsldup        =V Wx          | avx
        v.f2.0f12     vmovddup         =V Wp          | avx
        v.0f14        vunpcklps        =V H Wx        | avx
        v.66.0f14     vunpcklpd        =V H Wx        | avx
        v.0f15        vunpckhps        =V H Wx        | avx
        v.66.0f15     vunpckhpd        =V H Wx        | avx
        v.0f16        vmovlhps         =V H U         | avx l0
        v.0f16        vmovhps          =V H Mq        | avx l0
        v.0f17        vmovhps          =Mq V          | avx l0
        v.66.0f16     vmovhpd          =V H Mq        | avx l0
        v.66.0f17     vmovhpd          =Mq V          | avx l0
        v.f3.0f16     vmovshdup        =V Wx          | avx
        v.0f28        vmovaps          =V Wx          | avx a
        v.0f29        vmovaps          =Wx V          | avx a
        v.66.0f28     vmovapd          =V Wx          | avx a
        v.66.0f29     vmovapd          =Wx V          | avx a
        v.0f2b        vmovntps         =Mx V          | avx a
        v.66.0f2b     vmovntpd         =Mx V          | avx a
        v.0f50        vmovmskps        =G U           | avx
        v.66.0f50     vmovmskpd        =G U           | avx
        v.66.0f6e     vmovd            =V Ey          | avx l0
        v.66.0f7e     vmovd            =Ey V          | avx l0
        v.f3.0f7e     vmovq            =V Wq          | avx l0
        v.66.0fd6     vmovq            =Wq V          | avx l0
        v.66.0f6f     vmovdqa          =V Wx          | avx a
        v.66.0f7f     vmovdqa          =Wx V          | avx a
        v.f3.0f6f     vmovdqu          =V Wx          | avx
        v.f3.0f7f     vmovdqu          =Wx V          | avx
        v.66.0fe7     vmovntdq         =Mx V          | avx a
        v.f2.0ff0     vlddqu           =V Mx          | avx
        v.66.0f382a   vmovntdqa        =V Mx          | integer a
        v.66.0ff7     vmaskmovdqu      V U            | avx l0 masked
        v.66.0f382c   vmaskmovps       =V H Mx        | avx w0 masked
        v.66.0f382d   vmaskmovpd       =V H Mx        | avx w0 masked
        v.66.0f382e   vmaskmovps       =Mx H V        | avx w0 masked
        v.66.0f382f   vmaskmovpd       =Mx H V        | avx w0 masked
        v.0f77        vzeroupper                      | avx l0 nomodrm
        v.0f77        vzeroall                        | avx l1 nomodrm
        v.0fae/2      vldmxcsr         Md             | avx l0 mxcsr
        v.0fae/3      vstmxcsr         =Md            | avx l0 mxcsr
        # Permutations, broadcasts, insertions
        v.0fc6        vshufps          =V H Wx I      | avx
        v.66.0fc6     vshufpd          =V H Wx I      | avx
        v.66.0f380c   vpermilps        =V H Wx        | avx w0
        v.66.0f380d   vpermilpd        =V H Wx        | avx w0
        v.66.0f3a04   vpermilps        =V Wx I        | avx w0
        v.66.0f3a05   vpermilpd        =V Wx I        | avx w0
        v.66.0f3a06   vperm2f128       =V H Wx I      | avx w0 l1
        v.66.0f3818   vbroadcastss     =V Md          | avx w0
        v.66.0f3819   vbroadcastsd     =V Mq          | avx w0 l1
        v.66.0f381a   vbroadcastf128   =V Mo          | avx w0 l1
        v.66.0f3a18   vinsertf128      =V H Wo I      | avx w0 l1
        v.66.0f3a19   vextractf128     =Wo V I        | avx w0 l1
        v.66.0f3a0c   vblendps         =V H Wx I      | avx
        v.66.0f3a0d   vblendpd         =V H Wx I      | avx
        v.66.0f3a4a   vblendvps        =V H Wx L      | avx w0
        v.66.0f3a4b   vblendvpd        =V H Wx L      | avx w0
        v.66.0fc4     vpinsrw          =V H Ew I      | avx l0
        v.66.0fc5     vpextrw          =G U I         | avx l0
        v.66.0f3a14   vpextrb          =Eb V I        | avx l0
        v.66.0f3a15   vpextrw          =Ew V I        | avx l0
        v.66.0f3a16   vpextrd          =Ey V I        | avx l0
        v.66.0f3a17   vextractps       =Ed V I        | avx l0
        v.66.0f3a20   vpinsrb          =V H Eb I      | avx l0
        v.66.0f3a21   vinsertps        =V H Wd I      | avx l0
        v.66.0f3a22   vpinsrd          =V H Ey I      | avx l0
        # Conversions and comparisons
        v.f3.0f2a     vcvtsi2ss        =V H Ey        | avx fp lig
        v.f3.0f2c     vcvttss2si       =Gy Wd         | avx fp lig
        v.f3.0f2d     vcvtss2si        =Gy Wd         | avx fp lig
        v.f2.0f2a     vcvtsi2sd        =V H Ey        | avx fp lig
        v.f2.0f2c     vcvttsd2si       =Gy Wq         | avx fp lig
        v.f2.0f2d     vcvtsd2si        =Gy Wq         | avx fp lig
        v.0f2e        vucomiss         V Wd           | avx fp setsflags lig
        v.0f2f        vcomiss          V Wd           | avx fp setsflags lig
        v.66.0f2e     vucomisd         V Wq           | avx fp setsflags lig
        v.66.0f2f     vcomisd          V Wq           | avx fp setsflags lig
        v.0f5a        vcvtps2pd        =V Wh          | avx fp
        v.66.0f5a     vcvtpd2ps        =V Wx          | avx fp
        v.f3.0f5a     vcvtss2sd        =V H Wd        | avx fp lig
        v.f2.0f5a     vcvtsd2ss        =V H Wq        | avx fp lig
        v.0f5b        vcvtdq2ps        =V Wx          | avx fp
        v.66.0f5b     vcvtps2dq        =V Wx          | avx fp
        v.f3.0f5b     vcvttps2dq       =V Wx          | avx fp
        v.66.0fe6     vcvttpd2dq       =V Wx          | avx fp
        v.f2.0fe6     vcvtpd2dq        =V Wx          | avx fp
        v.f3.0fe6     vcvtdq2pd        =V Wh          | avx
        v.66.0f3813   vcvtph2ps        =V Wh          | f16c fp w0
        v.66.0f3a1d   vcvtps2ph        =Wh V I        | f16c fp w0
        v.0fc2        vcmpps           =V H Wx I      | avx fp
        v.66.0fc2     vcmppd           =V H Wx I      | avx fp
        v.f3.0fc2     vcmpss           =V H Wd I      | avx fp lig
        v.f2.0fc2     vcmpsd           =V H Wq I      | avx fp lig
        v.66.0f380e   vtestps          V Wx           | avx w0 setsflags
        v.66.0f380f   vtestpd          V Wx           | avx w0 setsflags
        v.66.0f3817   vptest           V Wx           | avx setsflags
        # Arithmetic
        v.0f51        vsqrtps          =V Wx          | avx fp
        v.66.0f51     vsqrtpd          =V Wx          | avx fp
        v.f3.0f51     vsqrtss          =V H Wd        | avx fp lig
        v.f2.0f51     vsqrtsd          =V H Wq        | avx fp lig
        v.0f58        vaddps           =V H Wx        | avx fp
        v.66.0f58     vaddpd           =V H Wx        | avx fp
        v.f3.0f58     vaddss           =V H Wd        | avx fp lig
        v.f2.0f58     vaddsd           =V H Wq        | avx fp lig
        v.0f59        vmulps           =V H Wx        | avx fp
        v.66.0f59     vmulpd           =V H Wx        | avx fp
        v.f3.0f59     vmulss           =V H Wd        | avx fp lig
        v.f2.0f59     vmulsd           =V H Wq        | avx fp lig
        v.0f5c        vsubps           =V H Wx        | avx fp
        v.66.0f5c     vsubpd           =V H Wx        | avx fp
        v.f3.0f5c     vsubss           =V H Wd        | avx fp lig
        v.f2.0f5c     vsubsd           =V H Wq        | avx fp lig
        v.0f5d        vminps           =V H Wx        | avx fp
        v.66.0f5d     vminpd           =V H Wx        | avx fp
        v.f3.0f5d     vminss           =V H Wd        | avx fp lig
        v.f2.0f5d     vminsd           =V H Wq        | avx fp lig
        v.0f5e        vdivps           =V H Wx        | avx fp
        v.66.0f5e     vdivpd           =V H Wx        | avx fp
        v.f3.0f5e     vdivss           =V H Wd        | avx fp lig
        v.f2.0f5e     vdivsd           =V H Wq        | avx fp lig
        v.0f5f        vmaxps           =V H Wx        | avx fp
        v.66.0f5f     vmaxpd           =V H Wx        | avx fp
        v.f3.0f5f     vmaxss           =V H Wd        | avx fp lig
        v.f2.0f5f     vmaxsd           =V H Wq        | avx fp lig
        v.0f52        vrsqrtps         =V Wx          | avx
        v.f3.0f52     vrsqrtss         =V H Wd        | avx lig
        v.0f53        vrcpps           =V Wx          | avx
        v.f3.0f53     vrcpss           =V H Wd        | avx lig
        v.0f54        vandps           =V H Wx        | avx
        v.66.0f54     vandpd           =V H Wx        | avx
        v.0f55        vandnps          =V H Wx        | avx
        v.66.0f55     vandnpd          =V H Wx        | avx
        v.0f56        vorps            =V H Wx        | avx
        v.66.0f56     vorpd            =V H Wx        | avx
        v.0f57        vxorps           =V H Wx        | avx
        v.66.0f57     vxorpd           =V H Wx        | avx
        v.66.0f7c     vhaddpd          =V H Wx        | avx fp
        v.f2.0f7c     vhaddps          =V H Wx        | avx fp
        v.66.0f7d     vhsubpd          =V H Wx        | avx fp
        v.f2.0f7d     vhsubps          =V H Wx        | avx fp
        v.66.0fd0     vaddsubpd        =V H Wx        | avx fp
        v.f2.0fd0     vaddsubps        =V H Wx        | avx fp
        v.66.0f3a08   vroundps         =V Wx I        | avx fp
        v.66.0f3a09   vroundpd         =V Wx I        | avx fp
        v.66.0f3a0a   vroundss         =V H Wd I      | avx fp lig
        v.66.0f3a0b   vroundsd         =V H Wq I      | avx fp lig
        v.66.0f3a40   vdpps            =V H Wx I      | avx fp
        v.66.0f3a41   vdppd            =V H Wo I      | avx fp l0
        # String comparisons
        v.66.0f3a60   vpcmpestrm       V Wo I A D =X  | avx l0 wide setsflags
        v.66.0f3a61   vpcmpestri       V Wo I A D =C  | avx l0 wide setsflags
        v.66.0f3a62   vpcmpistrm       V Wo I =X      | avx l0 setsflags
        v.66.0f3a63   vpcmpistri       V Wo I =C      | avx l0 setsflags
        """
}
