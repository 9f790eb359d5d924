// Allow-list: FMA3.

extension NativeTable {
    static let fma: StaticString = """
        v.66.0f3896   vfmaddsub132ps   +V H Wx        | fma fp w0
        v.66.0f3896   vfmaddsub132pd   +V H Wx        | fma fp w1
        v.66.0f3897   vfmsubadd132ps   +V H Wx        | fma fp w0
        v.66.0f3897   vfmsubadd132pd   +V H Wx        | fma fp w1
        v.66.0f3898   vfmadd132ps      +V H Wx        | fma fp w0
        v.66.0f3898   vfmadd132pd      +V H Wx        | fma fp w1
        v.66.0f3899   vfmadd132ss      +V H Wd        | fma fp w0 lig
        v.66.0f3899   vfmadd132sd      +V H Wq        | fma fp w1 lig
        v.66.0f389a   vfmsub132ps      +V H Wx        | fma fp w0
        v.66.0f389a   vfmsub132pd      +V H Wx        | fma fp w1
        v.66.0f389b   vfmsub132ss      +V H Wd        | fma fp w0 lig
        v.66.0f389b   vfmsub132sd      +V H Wq        | fma fp w1 lig
        v.66.0f389c   vfnmadd132ps     +V H Wx        | fma fp w0
        v.66.0f389c   vfnmadd132pd     +V H Wx        | fma fp w1
        v.66.0f389d   vfnmadd132ss     +V H Wd        | fma fp w0 lig
        v.66.0f389d   vfnmadd132sd     +V H Wq        | fma fp w1 lig
        v.66.0f389e   vfnmsub132ps     +V H Wx        | fma fp w0
        v.66.0f389e   vfnmsub132pd     +V H Wx        | fma fp w1
        v.66.0f389f   vfnmsub132ss     +V H Wd        | fma fp w0 lig
        v.66.0f389f   vfnmsub132sd     +V H Wq        | fma fp w1 lig
        v.66.0f38a6   vfmaddsub213ps   +V H Wx        | fma fp w0
        v.66.0f38a6   vfmaddsub213pd   +V H Wx        | fma fp w1
        v.66.0f38a7   vfmsubadd213ps   +V H Wx        | fma fp w0
        v.66.0f38a7   vfmsubadd213pd   +V H Wx        | fma fp w1
        v.66.0f38a8   vfmadd213ps      +V H Wx        | fma fp w0
        v.66.0f38a8   vfmadd213pd      +V H Wx        | fma fp w1
        v.66.0f38a9   vfmadd213ss      +V H Wd        | fma fp w0 lig
        v.66.0f38a9   vfmadd213sd      +V H Wq        | fma fp w1 lig
        v.66.0f38aa   vfmsub213ps      +V H Wx        | fma fp w0
        v.66.0f38aa   vfmsub213pd      +V H Wx        | fma fp w1
        v.66.0f38ab   vfmsub213ss      +V H Wd        | fma fp w0 lig
        v.66.0f38ab   vfmsub213sd      +V H Wq        | fma fp w1 lig
        v.66.0f38ac   vfnmadd213ps     +V H Wx        | fma fp w0
        v.66.0f38ac   vfnmadd213pd     +V H Wx        | fma fp w1
        v.66.0f38ad   vfnmadd213ss     +V H Wd        | fma fp w0 lig
        v.66.0f38ad   vfnmadd213sd     +V H Wq        | fma fp w1 lig
        v.66.0f38ae   vfnmsub213ps     +V H Wx        | fma fp w0
        v.66.0f38ae   vfnmsub213pd     +V H Wx        | fma fp w1
        v.66.0f38af   vfnmsub213ss     +V H Wd        | fma fp w0 lig
        v.66.0f38af   vfnmsub213sd     +V H Wq        | fma fp w1 lig
        v.66.0f38b6   vfmaddsub231ps   +V H Wx        | fma fp w0
        v.66.0f38b6   vfmaddsub231pd   +V H Wx        | fma fp w1
        v.66.0f38b7   vfmsubadd231ps   +V H Wx        | fma fp w0
        v.66.0f38b7   vfmsubadd231pd   +V H Wx        | fma fp w1
        v.66.0f38b8   vfmadd231ps      +V H Wx        | fma fp w0
        v.66.0f38b8   vfmadd231pd      +V H Wx        | fma fp w1
        v.66.0f38b9   vfmadd231ss      +V H Wd        | fma fp w0 lig
        v.66.0f38b9   vfmadd231sd      +V H Wq        | fma fp w1 lig
        v.66.0f38ba   vfmsub231ps      +V H Wx        | fma fp w0
        v.66.0f38ba   vfmsub231pd      +V H Wx        | fma fp w1
        v.66.0f38bb   vfmsub231ss      +V H Wd        | fma fp w0 lig
        v.66.0f38bb   vfmsub231sd      +V H Wq        | fma fp w1 lig
        v.66.0f38bc   vfnmadd231ps     +V H Wx        | fma fp w0
        v.66.0f38bc   vfnmadd231pd     +V H Wx        | fma fp w1
        v.66.0f38bd   vfnmadd231ss     +V H Wd        | fma fp w0 lig
        v.66.0f38bd   vfnmadd231sd     +V H Wq        | fma fp w1 lig
        v.66.0f38be   vfnmsub231ps     +V H Wx        | fma fp w0
        v.66.0f38be   vfnmsub231pd     +V H Wx        | fma fp w1
        v.66.0f38bf   vfnmsub231ss     +V H Wd        | fma fp w0 lig
        v.66.0f38bf   vfnmsub231sd     +V H Wq        | fma fp w1 lig
        """
}
