// Control and status words: FLDCW, FNSTCW, FNSTSW, FNCLEX, FNINIT, WAIT, EMMS, LDMXCSR, STMXCSR. Those with an N in their
// name don't look at pending exceptions.

import CPrimitives

let fnstcw: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.passGates(i)
        try cpu.store(cpu.x87.pointee.fcw, try cpu.linearAddress(i, size: 2, .write))
    }
}

let fldcw: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.passGates(i)
        try cpu.raisePendingX87Exception()
        cpu.x87.pointee.setControlWord(try cpu.load(UInt16.self, try cpu.linearAddress(i, size: 2, .read)))
    }
}

let fnstsw: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.passGates(i)
        try cpu.store(cpu.x87.pointee.fsw, try cpu.linearAddress(i, size: 2, .write))
    }
}

let fnstswAX: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.passGates(i)
        cpu.setRegister(0, to: cpu.x87.pointee.fsw)
    }
}

let fnclex: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.passGates(i)
        cpu.x87.pointee.fsw &= ~(FSW.exceptions | FSW.sf | FSW.es | FSW.b)
    }
}

let fninit: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.passGates(i)
        cpu.initializeX87()
    }
}

let fwait: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.passGates(i)
        try cpu.raisePendingX87Exception()
    }
}

let emms: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.passGates(i)
        try cpu.raisePendingX87Exception()
        cpu.turnStackToZero()
        cpu.x87.pointee.ftw = 0
    }
}

let loadMXCSR: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.passGates(i)
        let value = try cpu.load(UInt32.self, try cpu.linearAddress(i, size: 4, .read))
        try cpu.checkMXCSR(value)
        cpu.state.pointee.mxcsr = value
    }
}

let storeMXCSR: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.passGates(i)
        try cpu.store(cpu.state.pointee.mxcsr, try cpu.linearAddress(i, size: 4, .write))
    }
}

extension CPU {
    /// #GP(0) for reserved bits of MXCSR.
    func checkMXCSR(_ value: UInt32) throws(GuestFault) {
        if value & ~InitialState.mxcsrMask != 0 { throw .generalProtection() }
    }

    /// FNINIT (SDM volume 1, section 8.1.5 on).
    func initializeX87() {
        x87.pointee.initialize()
        state.pointee.fcs = 0
        state.pointee.fds = 0
    }
}
