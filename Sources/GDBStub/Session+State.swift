// Packets that read and change registers, memory and breakpoints.

import VirtualCPU

extension Session {
    /// The most breakpoints, and the most watchpoints, that a connection may set.
    private static let mostBreakpoints = 4096

    /// The state of a vCPU. Replies with the error if there is none.
    func state(_ vcpu: Int) -> CPUState? {
        do throws(EngineError) { return try target.state(of: vcpu) } catch {
            refuse(error.description)
            return nil
        }
    }

    /// Changes the state of a vCPU; false if that was refused, with the reason replied.
    func change(_ vcpu: Int, _ body: (inout CPUState) throws(RegisterRefusal) -> Void) -> Bool {
        guard let before = state(vcpu) else { return false }
        var state = before
        do throws(RegisterRefusal) { try body(&state) } catch {
            refuse(error.reason)
            return false
        }
        guard state != before else { return true }
        do throws(EngineError) { try target.setState(state, of: vcpu) } catch {
            refuse(error.description)
            return false
        }
        return true
    }

    // MARK: Registers

    func readRegisters() {
        guard let state = state(current) else { return }
        reply(Hex.text(description.registers.flatMap { state.bytes(of: $0) }))
    }

    func writeRegisters(_ packet: PacketReader) {
        let size = description.registers.reduce(0) { $0 + $1.byteCount }
        guard let data = Hex.data(packet.rest), data.count == size else { return reply("E01") }
        let registers = description.registers
        let done = change(current) { state throws(RegisterRefusal) in
            var rest = data[...]
            for register in registers {
                try state.set(register, to: Array(rest.prefix(register.byteCount)))
                rest = rest.dropFirst(register.byteCount)
            }
        }
        if done { reply("OK") }
    }

    private func register(_ number: UInt64?) -> Register? {
        guard let number, number < UInt64(description.registers.count) else { return nil }
        return description.registers[Int(number)]
    }

    func readRegister(_ packet: PacketReader) {
        var rest = packet
        guard let register = register(rest.number()) else { return reply("E01") }
        guard let state = state(current) else { return }
        reply(Hex.text(state.bytes(of: register)))
    }

    func writeRegister(_ packet: PacketReader) {
        var rest = packet
        guard let register = register(rest.number()), rest.skip("="), let bytes = Hex.data(rest.rest) else {
            return reply("E01")
        }
        if change(current, { state throws(RegisterRefusal) in try state.set(register, to: bytes) }) { reply("OK") }
    }

    // MARK: Memory

    private func area(_ rest: inout PacketReader) -> (address: UInt64, count: Int)? {
        guard let address = rest.number(), rest.skip(","), let count = rest.number() else { return nil }
        return (address, Int(min(count, UInt64(PacketDecoder.limit))))
    }

    func readMemory(_ packet: PacketReader, binary: Bool) {
        var rest = packet
        guard let area = area(&rest) else { return reply("E01") }
        guard let state = state(current) else { return }
        // A reply may hold less than was asked for; binary data may double by escaping.
        let count = min(area.count, PacketDecoder.limit / 2 - 1)
        let bytes = LinearMemory(state: state, memory: target.memory).read(area.address, count: count)
        guard !bytes.isEmpty || count == 0 else { return reply("E14") }
        reply(binary ? [UInt8(ascii: "b")] + PacketEncoder.escape(bytes) : Hex.text(bytes))
    }

    func writeMemory(_ packet: PacketReader, binary: Bool) {
        var rest = packet
        guard let area = area(&rest), rest.skip(":") else { return reply("E01") }
        guard let bytes = binary ? Array(rest.rest) : Hex.data(rest.rest), bytes.count == area.count else {
            return reply("E01")
        }
        guard let state = state(current) else { return }
        let done = LinearMemory(state: state, memory: target.memory).write(bytes, at: area.address)
        reply(done ? "OK" : "E14")
    }

    // MARK: Breakpoints

    /// `Z` and `z`: kind, address, size.
    func changeBreakpoint(_ packet: PacketReader, inserts: Bool) {
        var rest = packet
        guard let kind = rest.number(), rest.skip(","), let address = rest.number(), rest.skip(","),
            let size = rest.number()
        else { return reply("E01") }
        let before = (debuggee.softwareBreakpoints, debuggee.hardwareBreakpoints, debuggee.watchpoints)
        func change<Element>(_ set: inout Set<Element>, _ element: Element) {
            if inserts { set.insert(element) } else { set.remove(element) }
        }
        switch kind {
        case 0: change(&debuggee.softwareBreakpoints, address)
        case 1: change(&debuggee.hardwareBreakpoints, address)
        case 2: change(&debuggee.watchpoints, Watchpoint(address: address, size: size, kind: .write))
        case 3: change(&debuggee.watchpoints, Watchpoint(address: address, size: size, kind: .read))
        case 4: change(&debuggee.watchpoints, Watchpoint(address: address, size: size, kind: .access))
        default: return reply("")
        }
        let counts = [
            debuggee.softwareBreakpoints.count, debuggee.hardwareBreakpoints.count, debuggee.watchpoints.count,
        ]
        do throws(EngineError) {
            guard counts.allSatisfy({ $0 <= Self.mostBreakpoints }) else {
                throw EngineError("there are \(Self.mostBreakpoints) breakpoints already")
            }
            try target.setControl(debuggee.control)
            reply("OK")
        } catch {
            (debuggee.softwareBreakpoints, debuggee.hardwareBreakpoints, debuggee.watchpoints) = before
            refuse(error.description)
        }
    }
}
