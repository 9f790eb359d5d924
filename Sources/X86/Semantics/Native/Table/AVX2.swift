// Allow-list: VEX-encoded integer vectors. Rows of feature `integer` came with AVX for 128 bits, with AVX2 for 256.

extension NativeTable {
    static let avx2: StaticString = """
        # Integer vectors, 128 and 256 bits
        v.66.0f60     vpunpcklbw       =V H Wx        | integer
        v.66.0f61     vpunpcklwd       =V H Wx        | integer
        v.66.0f62     vpunpckldq       =V H Wx        | integer
        v.66.0f63     vpacksswb        =V H Wx        | integer
        v.66.0f64     vpcmpgtb         =V H Wx        | integer
        v.66.0f65     vpcmpgtw         =V H Wx        | integer
        v.66.0f66     vpcmpgtd         =V H Wx        | integer
        v.66.0f67     vpackuswb        =V H Wx        | integer
        v.66.0f68     vpunpckhbw       =V H Wx        | integer
        v.66.0f69     vpunpckhwd       =V H Wx        | integer
        v.66.0f6a     vpunpckhdq       =V H Wx        | integer
        v.66.0f6b     vpackssdw        =V H Wx        | integer
        v.66.0f6c     vpunpcklqdq      =V H Wx        | integer
        v.66.0f6d     vpunpckhqdq      =V H Wx        | integer
        v.66.0f74     vpcmpeqb         =V H Wx        | integer
        v.66.0f75     vpcmpeqw         =V H Wx        | integer
        v.66.0f76     vpcmpeqd         =V H Wx        | integer
        v.66.0fd1     vpsrlw           =V H Wo        | integer
        v.66.0fd2     vpsrld           =V H Wo        | integer
        v.66.0fd3     vpsrlq           =V H Wo        | integer
        v.66.0fd4     vpaddq           =V H Wx        | integer
        v.66.0fd5     vpmullw          =V H Wx        | integer
        v.66.0fd8     vpsubusb         =V H Wx        | integer
        v.66.0fd9     vpsubusw         =V H Wx        | integer
        v.66.0fda     vpminub          =V H Wx        | integer
        v.66.0fdb     vpand            =V H Wx        | integer
        v.66.0fdc     vpaddusb         =V H Wx        | integer
        v.66.0fdd     vpaddusw         =V H Wx        | integer
        v.66.0fde     vpmaxub          =V H Wx        | integer
        v.66.0fdf     vpandn           =V H Wx        | integer
        v.66.0fe0     vpavgb           =V H Wx        | integer
        v.66.0fe1     vpsraw           =V H Wo        | integer
        v.66.0fe2     vpsrad           =V H Wo        | integer
        v.66.0fe3     vpavgw           =V H Wx        | integer
        v.66.0fe4     vpmulhuw         =V H Wx        | integer
        v.66.0fe5     vpmulhw          =V H Wx        | integer
        v.66.0fe8     vpsubsb          =V H Wx        | integer
        v.66.0fe9     vpsubsw          =V H Wx        | integer
        v.66.0fea     vpminsw          =V H Wx        | integer
        v.66.0feb     vpor             =V H Wx        | integer
        v.66.0fec     vpaddsb          =V H Wx        | integer
        v.66.0fed     vpaddsw          =V H Wx        | integer
        v.66.0fee     vpmaxsw          =V H Wx        | integer
        v.66.0fef     vpxor            =V H Wx        | integer
        v.66.0ff1     vpsllw           =V H Wo        | integer
        v.66.0ff2     vpslld           =V H Wo        | integer
        v.66.0ff3     vpsllq           =V H Wo        | integer
        v.66.0ff4     vpmuludq         =V H Wx        | integer
        v.66.0ff5     vpmaddwd         =V H Wx        | integer
        v.66.0ff6     vpsadbw          =V H Wx        | integer
        v.66.0ff8     vpsubb           =V H Wx        | integer
        v.66.0ff9     vpsubw           =V H Wx        | integer
        v.66.0ffa     vpsubd           =V H Wx        | integer
        v.66.0ffb     vpsubq           =V H Wx        | integer
        v.66.0ffc     vpaddb           =V H Wx        | integer
        v.66.0ffd     vpaddw           =V H Wx        | integer
        v.66.0ffe     vpaddd           =V H Wx        | integer
        v.66.0f71/2   vpsrlw           =H U I         | integer
        v.66.0f71/4   vpsraw           =H U I         | integer
        v.66.0f71/6   vpsllw           =H U I         | integer
        v.66.0f72/2   vpsrld           =H U I         | integer
        v.66.0f72/4   vpsrad           =H U I         | integer
        v.66.0f72/6   vpslld           =H U I         | integer
        v.66.0f73/2   vpsrlq           =H U I         | integer
        v.66.0f73/6   vpsllq           =H U I         | integer
        v.66.0f73/3   vpsrldq          =H U I         | integer
        v.66.0f73/7   vpslldq          =H U I         | integer
        v.66.0f70     vpshufd          =V Wx I        | integer
        v.f3.0f70     vpshufhw         =V Wx I        | integer
        v.f2.0f70     vpshuflw         =V Wx I        | integer
        v.66.0fd7     vpmovmskb        =G U           | integer
        v.66.0f3800   vpshufb          =V H Wx        | integer
        v.66.0f3801   vphaddw          =V H Wx        | integer
        v.66.0f3802   vphaddd          =V H Wx        | integer
        v.66.0f3803   vphaddsw         =V H Wx        | integer
        v.66.0f3804   vpmaddubsw       =V H Wx        | integer
        v.66.0f3805   vphsubw          =V H Wx        | integer
        v.66.0f3806   vphsubd          =V H Wx        | integer
        v.66.0f3807   vphsubsw         =V H Wx        | integer
        v.66.0f3808   vpsignb          =V H Wx        | integer
        v.66.0f3809   vpsignw          =V H Wx        | integer
        v.66.0f380a   vpsignd          =V H Wx        | integer
        v.66.0f380b   vpmulhrsw        =V H Wx        | integer
        v.66.0f381c   vpabsb           =V Wx          | integer
        v.66.0f381d   vpabsw           =V Wx          | integer
        v.66.0f381e   vpabsd           =V Wx          | integer
        v.66.0f3828   vpmuldq          =V H Wx        | integer
        v.66.0f3829   vpcmpeqq         =V H Wx        | integer
        v.66.0f382b   vpackusdw        =V H Wx        | integer
        v.66.0f3837   vpcmpgtq         =V H Wx        | integer
        v.66.0f3838   vpminsb          =V H Wx        | integer
        v.66.0f3839   vpminsd          =V H Wx        | integer
        v.66.0f383a   vpminuw          =V H Wx        | integer
        v.66.0f383b   vpminud          =V H Wx        | integer
        v.66.0f383c   vpmaxsb          =V H Wx        | integer
        v.66.0f383d   vpmaxsd          =V H Wx        | integer
        v.66.0f383e   vpmaxuw          =V H Wx        | integer
        v.66.0f383f   vpmaxud          =V H Wx        | integer
        v.66.0f3840   vpmulld          =V H Wx        | integer
        v.66.0f3841   vphminposuw      =V Wo          | avx l0
        v.66.0f3820   vpmovsxbw        =V Wh          | integer
        v.66.0f3821   vpmovsxbd        =V Wf          | integer
        v.66.0f3822   vpmovsxbq        =V We          | integer
        v.66.0f3823   vpmovsxwd        =V Wh          | integer
        v.66.0f3824   vpmovsxwq        =V Wf          | integer
        v.66.0f3825   vpmovsxdq        =V Wh          | integer
        v.66.0f3830   vpmovzxbw        =V Wh          | integer
        v.66.0f3831   vpmovzxbd        =V Wf          | integer
        v.66.0f3832   vpmovzxbq        =V We          | integer
        v.66.0f3833   vpmovzxwd        =V Wh          | integer
        v.66.0f3834   vpmovzxwq        =V Wf          | integer
        v.66.0f3835   vpmovzxdq        =V Wh          | integer
        v.66.0f3a0e   vpblendw         =V H Wx I      | integer
        v.66.0f3a0f   vpalignr         =V H Wx I      | integer
        v.66.0f3a42   vmpsadbw         =V H Wx I      | integer
        v.66.0f3a4c   vpblendvb        =V H Wx L      | integer w0
        # New in AVX2
        v.66.0f3818   vbroadcastss     =V U           | avx2 w0
        v.66.0f3819   vbroadcastsd     =V U           | avx2 w0 l1
        v.66.0f3816   vpermps          =V H Wx        | avx2 w0 l1
        v.66.0f3836   vpermd           =V H Wx        | avx2 w0 l1
        v.66.0f3a00   vpermq           =V Wx I        | avx2 w1 l1
        v.66.0f3a01   vpermpd          =V Wx I        | avx2 w1 l1
        v.66.0f3a02   vpblendd         =V H Wx I      | avx2 w0
        v.66.0f3a38   vinserti128      =V H Wo I      | avx2 w0 l1
        v.66.0f3a39   vextracti128     =Wo V I        | avx2 w0 l1
        v.66.0f3a46   vperm2i128       =V H Wx I      | avx2 w0 l1
        v.66.0f3845   vpsrlvd          =V H Wx        | avx2 w0
        v.66.0f3845   vpsrlvq          =V H Wx        | avx2 w1
        v.66.0f3846   vpsravd          =V H Wx        | avx2 w0
        v.66.0f3847   vpsllvd          =V H Wx        | avx2 w0
        v.66.0f3847   vpsllvq          =V H Wx        | avx2 w1
        v.66.0f3858   vpbroadcastd     =V Wd          | avx2 w0
        v.66.0f3859   vpbroadcastq     =V Wq          | avx2 w0
        v.66.0f385a   vbroadcasti128   =V Mo          | avx2 w0 l1
        v.66.0f3878   vpbroadcastb     =V Wb          | avx2 w0
        v.66.0f3879   vpbroadcastw     =V Ww          | avx2 w0
        # Masked moves and gathers
        v.66.0f388c   vpmaskmovd       =V H Mx        | avx2 w0 masked
        v.66.0f388c   vpmaskmovq       =V H Mx        | avx2 w1 masked
        v.66.0f388e   vpmaskmovd       =Mx H V        | avx2 w0 masked
        v.66.0f388e   vpmaskmovq       =Mx H V        | avx2 w1 masked
        v.66.0f3890   vpgatherdd       +V Md +H       | avx2 w0 gather
        v.66.0f3890   vpgatherdq       +V Mq +H       | avx2 w1 gather
        v.66.0f3891   vpgatherqd       +V Md +H       | avx2 w0 gather
        v.66.0f3891   vpgatherqq       +V Mq +H       | avx2 w1 gather
        v.66.0f3892   vgatherdps       +V Md +H       | avx2 w0 gather
        v.66.0f3892   vgatherdpd       +V Mq +H       | avx2 w1 gather
        v.66.0f3893   vgatherqps       +V Md +H       | avx2 w0 gather
        v.66.0f3893   vgatherqpd       +V Mq +H       | avx2 w1 gather
        """
}
