// A machine without a CPU: states, memory, and a record of what the stub asked for. It stops when the test says so.

import GDBStub
import Memory
import Synchronization
import Testing
import VirtualCPU

final class FakeMachine: DebugTarget {
    struct Contents {
        var states: [CPUState]
        var calls: [String] = []
        var control = DebugControl()
        var actions: [DebugAction] = []
        var mostWatchpoints = 100
    }

    let contents: Mutex<Contents>
    let memory: GuestMemory
    let vcpuCount: Int

    init(_ states: [CPUState]) throws {
        contents = Mutex(Contents(states: states))
        memory = try GuestMemory(size: 1 << 20)
        vcpuCount = states.count
    }

    private func note(_ call: String) { contents.withLock { $0.calls.append(call) } }

    /// What was called since the last time.
    var calls: [String] {
        contents.withLock { contents in
            defer { contents.calls = [] }
            return contents.calls
        }
    }

    func attach() { note("attach") }
    func stop() { note("stop") }
    func stands() {}
    func kill() { note("kill") }
    func detach() { note("detach") }

    func setControl(_ control: DebugControl) throws(EngineError) {
        try contents.withLock { contents throws(EngineError) in
            guard control.watchpoints.count <= contents.mostWatchpoints else {
                throw EngineError("no watchpoint is left")
            }
            contents.control = control
        }
    }

    func resume(_ actions: [DebugAction], _ control: DebugControl) throws(EngineError) {
        contents.withLock { contents in
            contents.calls.append("resume")
            (contents.actions, contents.control) = (actions, control)
        }
    }

    func state(of vcpu: Int) throws(EngineError) -> CPUState { contents.withLock { $0.states[vcpu] } }
    func setState(_ state: CPUState, of vcpu: Int) throws(EngineError) {
        contents.withLock { $0.states[vcpu] = state }
    }
}

/// A debugger's side of a session with a fake machine.
final class FakeDebugger {
    let machine: FakeMachine
    let debuggee: Debuggee
    private(set) var session: Session

    init(_ states: [CPUState] = [CPUState()], waits: Bool = false) throws {
        machine = try FakeMachine(states)
        debuggee = Debuggee(target: machine, waitsForDebugger: waits)
        session = Session(debuggee)
    }

    /// A session that has begun: the machine stands.
    static func attached(_ states: [CPUState] = [CPUState()]) throws -> FakeDebugger {
        let debugger = try FakeDebugger(states)
        #expect(debugger.send("QStartNoAckMode") == [])
        #expect(debugger.stop(.asked) == ["OK"])
        return debugger
    }

    func connectAgain() { session = Session(debuggee) }

    /// Sends a packet; returns the data of those that come back.
    func send(_ text: String) -> [String] { send(Array(text.utf8)) }
    func send(_ data: [UInt8]) -> [String] { packets(session.receive(Self.frame(data))) }

    /// Sends a packet that has one answer.
    func ask(_ text: String) throws -> String {
        let answers = send(text)
        try #require(answers.count == 1, "\(text): \(answers)")
        return answers[0]
    }

    /// The machine stops; returns what the debugger is told.
    func stop(_ event: DebugEvent) -> [String] { debuggee.stopped(event) ? packets(session.stopped(event)) : [] }

    static func frame(_ data: [UInt8]) -> [UInt8] {
        let sum = data.reduce(0 as UInt8, &+)
        let digits = Array("0123456789abcdef".utf8)
        return Array("$".utf8) + data + Array("#".utf8) + [digits[Int(sum >> 4)], digits[Int(sum & 15)]]
    }

    /// Takes apart what the stub sent, and checks its checksums.
    private func packets(_ bytes: [UInt8]) -> [String] {
        var found: [String] = []
        var rest = bytes[...]
        while let start = rest.firstIndex(of: UInt8(ascii: "$")) {
            guard let end = rest[start...].firstIndex(of: UInt8(ascii: "#")), end + 2 < bytes.count else {
                Issue.record("half a packet")
                break
            }
            let data = Array(rest[(start + 1)..<end])
            #expect(Array(rest[start...(end + 2)]) == Self.frame(data))
            found.append(String(decoding: data, as: UTF8.self))
            rest = rest[(end + 3)...]
        }
        return found
    }
}

/// Hexadecimal digits of the bytes of text.
func hex(_ text: String) -> String {
    text.utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

/// The text that hexadecimal digits stand for.
func unhex(_ digits: some StringProtocol) -> String {
    var bytes: [UInt8] = []
    var rest = digits[...]
    while rest.count >= 2 {
        bytes.append(UInt8(rest.prefix(2), radix: 16) ?? 0)
        rest = rest.dropFirst(2)
    }
    return String(decoding: bytes, as: UTF8.self)
}
