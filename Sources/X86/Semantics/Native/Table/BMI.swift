// Allow-list: VEX-encoded instructions on general registers (BMI1, BMI2).

extension NativeTable {
    static let bmi: StaticString = """
        v.0f38f2      andn             =Gy B Ey       | bmi1 l0 flags
        v.0f38f3/1    blsr             =B Ey          | bmi1 l0 flags
        v.0f38f3/2    blsmsk           =B Ey          | bmi1 l0 flags
        v.0f38f3/3    blsi             =B Ey          | bmi1 l0 flags
        v.0f38f7      bextr            =Gy Ey B       | bmi1 l0 flags
        v.0f38f5      bzhi             =Gy Ey B       | bmi2 l0 flags
        v.f3.0f38f5   pext             =Gy B Ey       | bmi2 l0
        v.f2.0f38f5   pdep             =Gy B Ey       | bmi2 l0
        v.f2.0f38f6   mulx             =Gy =B Ey D    | bmi2 l0
        v.66.0f38f7   shlx             =Gy Ey B       | bmi2 l0
        v.f3.0f38f7   sarx             =Gy Ey B       | bmi2 l0
        v.f2.0f38f7   shrx             =Gy Ey B       | bmi2 l0
        v.f2.0f3af0   rorx             =Gy Ey I       | bmi2 l0
        """
}
