// One connection of GDB's: bytes in, bytes out. It knows nothing of sockets, so that tests can speak to it. The machine is
// stopped by the first whole packet, so that a stranger who connects and sends something else disturbs nothing; packets
// wait while it comes to a stand.

import VirtualCPU

/// The protocol's side of one connection (GDB manual, appendix E).
package final class Session {
    let debuggee: Debuggee
    var target: any DebugTarget { debuggee.target }

    private var decoder = PacketDecoder()
    private var waiting: [[UInt8]] = []
    private var output: [UInt8] = []
    private var lastPacket: [UInt8] = []
    private var acknowledges = true
    private var seesPackets = false
    /// GDB waits for the end of a `vCont`, `c` or `s`.
    private var owesStopReply = false
    /// What GDB says that it understands in stop replies.
    var knowsSoftwareBreakpoints = false
    var knowsHardwareBreakpoints = false
    /// The connection is to be closed.
    package internal(set) var isOver = false
    /// vCPU that register and memory packets are about, and the one for `c` and `s`.
    var current = 0
    var resumed: Int?
    /// The description that is offered, and the one that GDB has taken, by which registers are laid out.
    var offered = TargetDescription.all[0]
    var description = TargetDescription.all[0]

    /// Begins a session with the machine.
    package init(_ debuggee: Debuggee) { self.debuggee = debuggee }

    // MARK: Events

    /// What was received; returns what is to be sent.
    package func receive(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        for event in decoder.decode(bytes) {
            switch event {
            case .packet(let packet):
                if acknowledges { output.append(UInt8(ascii: "+")) }
                seesPackets = true
                // GDB sends one packet at a time; more than a few waiting ones are a flood.
                if waiting.count < 64 { waiting.append(packet) }
                debuggee.attach()
            case .damaged: if acknowledges { output.append(UInt8(ascii: "-")) }
            case .acknowledged: break
            case .rejected: if acknowledges, !lastPacket.isEmpty { output += lastPacket }
            case .interrupt: if seesPackets, debuggee.state == .running { debuggee.stop() }
            }
            handleWaiting()
        }
        return takeOutput()
    }

    /// A stop was reported; returns what is to be sent.
    package func stopped(_ event: DebugEvent) -> [UInt8] {
        selectVCPU(of: event)
        if owesStopReply {
            owesStopReply = false
            if case .tripleFault(let vcpu) = event {
                console("vCPU \(vcpu): triple fault. The run ends when the guest goes on.\n")
            }
            reply(stopReply(event))
        }
        handleWaiting()
        return takeOutput()
    }

    /// The run is over; returns what is to be sent last.
    package func ended(_ exit: DebuggedExit) -> [UInt8] {
        if owesStopReply {
            switch exit {
            case .exited(let status): reply(Array("W".utf8) + status.hexDigits)
            case .aborted: reply("X06")
            }
        }
        isOver = true
        return takeOutput()
    }

    private func handleWaiting() {
        while debuggee.state == .standing, !waiting.isEmpty, !isOver { handle(waiting.removeFirst()) }
    }

    // MARK: Replies

    /// GDB and the stub trust the transport from now on.
    func stopAcknowledging() { acknowledges = false }

    func reply(_ text: String) { reply(Array(text.utf8)) }

    func reply(_ data: [UInt8]) {
        lastPacket = PacketEncoder.frame(data)
        output += lastPacket
    }

    /// An error with its reason, which GDB shows.
    func refuse(_ reason: String) { reply(Array("E.".utf8) + PacketEncoder.escape(reason.utf8)) }

    /// Text for GDB's console, in packets of their own.
    func console(_ text: String) {
        let data = Array(text.utf8)
        let chunk = (PacketDecoder.limit - 1) / 2
        for start in stride(from: 0, to: data.count, by: chunk) {
            reply([UInt8(ascii: "O")] + Hex.text(data[start..<min(start + chunk, data.count)]))
        }
    }

    private func takeOutput() -> [UInt8] {
        defer { output = [] }
        return output
    }

    // MARK: Packets

    private func handle(_ packet: [UInt8]) {
        var rest = PacketReader(packet.dropFirst())
        switch packet.first.map({ Character(UnicodeScalar($0)) }) {
        case "?": reply(stopReply(debuggee.lastEvent))
        case "g": readRegisters()
        case "G": writeRegisters(rest)
        case "p": readRegister(rest)
        case "P": writeRegister(rest)
        case "m": readMemory(rest, binary: false)
        case "x": readMemory(rest, binary: true)
        case "M": writeMemory(rest, binary: false)
        case "X": writeMemory(rest, binary: true)
        case "Z": changeBreakpoint(rest, inserts: true)
        case "z": changeBreakpoint(rest, inserts: false)
        case "H": selectThread(rest)
        case "T": reply(vcpu(thread: rest.number()) == nil ? "E01" : "OK")
        case "c", "C", "s", "S": resumeOld(packet)
        case "v": handleVerbose(rest)
        case "q", "Q": handleQuery(packet)
        case "D":
            reply("OK")
            debuggee.detach()
            isOver = true
        case "k":
            debuggee.kill()
            isOver = true
        default: reply("")
        }
    }

    private func handleVerbose(_ packet: PacketReader) {
        var rest = packet
        if rest.skip("Cont?") {
            reply("vCont;c;C;s;S")
        } else if rest.skip("Cont;") {
            resume(rest)
        } else if rest.skip("Kill") {
            reply("OK")
            debuggee.kill()
            isOver = true
        } else {
            // `vMustReplyEmpty` among them.
            reply("")
        }
    }

    // MARK: Going on

    /// `vCont`: for each vCPU the first action that names it, or all.
    private func resume(_ packet: PacketReader) {
        var rest = packet
        var actions = [DebugAction?](repeating: nil, count: target.vcpuCount)
        while !rest.isAtEnd {
            var field = PacketReader(rest.field(until: ";"))
            let action: DebugAction
            if field.skip("c") || field.skip("C") {
                action = .run
            } else if field.skip("s") || field.skip("S") {
                action = .step
            } else {
                return reply("E01")
            }
            _ = field.field(until: ":")  // a signal, of which guests know nothing
            guard !field.isAtEnd else {
                actions = actions.map { $0 ?? action }
                continue
            }
            if field.skip("p") { _ = field.field(until: ".") }
            if field.skip("-1") {
                actions = actions.map { $0 ?? action }
            } else if let vcpu = vcpu(thread: field.number()) {
                actions[vcpu] = actions[vcpu] ?? action
            } else {
                return reply("E01")
            }
        }
        go(actions.map { $0 ?? .hold })
    }

    /// `c`, `C`, `s`, `S`: all vCPUs run, or the one that `H` has chosen steps; from another address if there is one.
    private func resumeOld(_ packet: [UInt8]) {
        var rest = PacketReader(packet.dropFirst())
        if packet.first == UInt8(ascii: "C") || packet.first == UInt8(ascii: "S") { _ = rest.field(until: ";") }
        let vcpu = resumed ?? current
        if let address = rest.number(), let register = description.registers.first(where: { $0.kind == .rip }) {
            let bytes = (0..<register.byteCount).map { UInt8(truncatingIfNeeded: address >> UInt64(8 * $0)) }
            guard change(vcpu, { state throws(RegisterRefusal) in try state.set(register, to: bytes) }) else { return }
        }
        let steps = packet.first == UInt8(ascii: "s") || packet.first == UInt8(ascii: "S")
        go((0..<target.vcpuCount).map { steps ? $0 == vcpu ? .step : .hold : .run })
    }

    private func go(_ actions: [DebugAction]) {
        guard actions.contains(where: { $0 != .hold }) else { return reply("E01") }
        do throws(EngineError) {
            try debuggee.resume(actions)
            owesStopReply = true
        } catch {
            refuse(error.description)
        }
    }

    // MARK: Threads

    /// The vCPU of a thread: threads are numbered from 1, and 0 is any.
    func vcpu(thread: UInt64?) -> Int? {
        guard let thread, thread <= UInt64(target.vcpuCount) else { return nil }
        return thread == 0 ? current : Int(thread) - 1
    }

    /// `H`: `Hg` for registers and memory, `Hc` for `c` and `s`; -1 means all.
    private func selectThread(_ packet: PacketReader) {
        var rest = packet
        let forGoing = rest.skip("c")
        guard forGoing || rest.skip("g") else { return reply("E01") }
        if rest.skip("-1") {
            resumed = nil
        } else {
            guard let vcpu = vcpu(thread: rest.number()) else { return reply("E01") }
            if forGoing { resumed = vcpu } else { current = vcpu }
        }
        reply("OK")
    }

    private func selectVCPU(of event: DebugEvent) {
        switch event {
        case .asked: break
        case .stopped(let vcpu, _), .tripleFault(let vcpu): current = vcpu
        }
    }

    /// `T`: the signal, the thread and the reason.
    private func stopReply(_ event: DebugEvent) -> [UInt8] {
        let thread = "thread:" + Hex.text(UInt64(current) + 1) + ";"
        switch event {
        case .asked: return Array("T02\(thread)".utf8)
        case .tripleFault: return Array("T06\(thread)".utf8)
        case .stopped(_, .step): return Array("T05\(thread)".utf8)
        case .stopped(_, .breakpoint(let address)):
            let isHardware = !debuggee.softwareBreakpoints.contains(address)
            let isKnown = isHardware ? knowsHardwareBreakpoints : knowsSoftwareBreakpoints
            let reason = isKnown ? (isHardware ? "hwbreak:;" : "swbreak:;") : ""
            return Array("T05\(reason)\(thread)".utf8)
        case .stopped(_, .watchpoint(let watchpoint, _)):
            // GDB looks the address up among its watchpoints: the beginning is sure to be found.
            let name =
                switch watchpoint.kind {
                case .write: "watch"
                case .read: "rwatch"
                case .access: "awatch"
                }
            return Array("T05\(name):\(Hex.text(watchpoint.address));\(thread)".utf8)
        }
    }
}
