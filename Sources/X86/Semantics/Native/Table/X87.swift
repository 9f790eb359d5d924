// Allow-list: the x87 FPU's data, comparison and transcendental instructions (SDM volume 2, table A-7 onwards). Those
// that load or store its control state are written out elsewhere.

extension NativeTable {
    static let x87: StaticString = """
        # Memory operands
        d8/0          fadd             Md             | x87
        d8/1          fmul             Md             | x87
        d8/2          fcom             Md             | x87
        d8/3          fcomp            Md             | x87
        d8/4          fsub             Md             | x87
        d8/5          fsubr            Md             | x87
        d8/6          fdiv             Md             | x87
        d8/7          fdivr            Md             | x87
        da/0          fiadd            Md             | x87
        da/1          fimul            Md             | x87
        da/2          ficom            Md             | x87
        da/3          ficomp           Md             | x87
        da/4          fisub            Md             | x87
        da/5          fisubr           Md             | x87
        da/6          fidiv            Md             | x87
        da/7          fidivr           Md             | x87
        dc/0          fadd             Mq             | x87
        dc/1          fmul             Mq             | x87
        dc/2          fcom             Mq             | x87
        dc/3          fcomp            Mq             | x87
        dc/4          fsub             Mq             | x87
        dc/5          fsubr            Mq             | x87
        dc/6          fdiv             Mq             | x87
        dc/7          fdivr            Mq             | x87
        de/0          fiadd            Mw             | x87
        de/1          fimul            Mw             | x87
        de/2          ficom            Mw             | x87
        de/3          ficomp           Mw             | x87
        de/4          fisub            Mw             | x87
        de/5          fisubr           Mw             | x87
        de/6          fidiv            Mw             | x87
        de/7          fidivr           Mw             | x87
        d9/0          fld              Md             | x87
        d9/2          fst              =Md            | x87
        d9/3          fstp             =Md            | x87
        db/0          fild             Md             | x87
        db/1          fisttp           =Md            | sse3
        db/2          fist             =Md            | x87
        db/3          fistp            =Md            | x87
        db/5          fld              Mt             | x87
        db/7          fstp             =Mt            | x87
        dd/0          fld              Mq             | x87
        dd/1          fisttp           =Mq            | sse3
        dd/2          fst              =Mq            | x87
        dd/3          fstp             =Mq            | x87
        df/0          fild             Mw             | x87
        df/1          fisttp           =Mw            | sse3
        df/2          fist             =Mw            | x87
        df/3          fistp            =Mw            | x87
        df/4          fbld             Mt             | x87
        df/5          fild             Mq             | x87
        df/6          fbstp            =Mt            | x87
        df/7          fistp            =Mq            | x87
        # Stack operands
        d8:c0+        fadd             S              | x87
        d8:c8+        fmul             S              | x87
        d8:d0+        fcom             S              | x87
        d8:d8+        fcomp            S              | x87
        d8:e0+        fsub             S              | x87
        d8:e8+        fsubr            S              | x87
        d8:f0+        fdiv             S              | x87
        d8:f8+        fdivr            S              | x87
        d9:c0+        fld              S              | x87
        d9:c8+        fxch             S              | x87
        da:c0+        fcmovb           S              | cmov flags
        da:c8+        fcmove           S              | cmov flags
        da:d0+        fcmovbe          S              | cmov flags
        da:d8+        fcmovu           S              | cmov flags
        db:c0+        fcmovnb          S              | cmov flags
        db:c8+        fcmovne          S              | cmov flags
        db:d0+        fcmovnbe         S              | cmov flags
        db:d8+        fcmovnu          S              | cmov flags
        db:e8+        fucomi           S              | cmov flags
        db:f0+        fcomi            S              | cmov flags
        df:e8+        fucomip          S              | cmov flags
        df:f0+        fcomip           S              | cmov flags
        dc:c0+        fadd             S              | x87
        dc:c8+        fmul             S              | x87
        dc:e0+        fsubr            S              | x87
        dc:e8+        fsub             S              | x87
        dc:f0+        fdivr            S              | x87
        dc:f8+        fdiv             S              | x87
        dd:c0+        ffree            S              | x87
        dd:d0+        fst              S              | x87
        dd:d8+        fstp             S              | x87
        dd:e0+        fucom            S              | x87
        dd:e8+        fucomp           S              | x87
        de:c0+        faddp            S              | x87
        de:c8+        fmulp            S              | x87
        de:e0+        fsubrp           S              | x87
        de:e8+        fsubp            S              | x87
        de:f0+        fdivrp           S              | x87
        de:f8+        fdivp            S              | x87
        da:e9         fucompp                         | x87
        de:d9         fcompp                          | x87
        # Synonyms that no manual names but every x87 executes, and 8087 and 287 control instructions that are NOPs now
        d9:d8+        fstp1            S              | x87
        dc:d0+        fcom2            S              | x87
        dc:d8+        fcomp3           S              | x87
        dd:c8+        fxch4            S              | x87
        de:d0+        fcomp5           S              | x87
        df:c0+        ffreep           S              | x87
        df:c8+        fxch7            S              | x87
        df:d0+        fstp8            S              | x87
        df:d8+        fstp9            S              | x87
        db:e0         fneni                           | x87 nowait
        db:e1         fndisi                          | x87 nowait
        db:e4         fnsetpm                         | x87 nowait
        # No operands
        d9:d0         fnop                            | x87
        d9:e0         fchs                            | x87
        d9:e1         fabs                            | x87
        d9:e4         ftst                            | x87
        d9:e5         fxam                            | x87
        d9:e8         fld1                            | x87
        d9:e9         fldl2t                          | x87
        d9:ea         fldl2e                          | x87
        d9:eb         fldpi                           | x87
        d9:ec         fldlg2                          | x87
        d9:ed         fldln2                          | x87
        d9:ee         fldz                            | x87
        d9:f0         f2xm1                           | x87
        d9:f1         fyl2x                           | x87
        d9:f2         fptan                           | x87
        d9:f3         fpatan                          | x87
        d9:f4         fxtract                         | x87
        d9:f5         fprem1                          | x87
        d9:f6         fdecstp                         | x87
        d9:f7         fincstp                         | x87
        d9:f8         fprem                           | x87
        d9:f9         fyl2xp1                         | x87
        d9:fa         fsqrt                           | x87
        d9:fb         fsincos                         | x87
        d9:fc         frndint                         | x87
        d9:fd         fscale                          | x87
        d9:fe         fsin                            | x87
        d9:ff         fcos                            | x87
        """
}
