// The protocol without sockets: who is stopped when, what is replied, and what happens to packets that nobody sends.

import Foundation
import GDBStub
import Memory
import TestSupport
import Testing
import VirtualCPU

@Suite struct SessionTests {
    @Test func theFirstPacketStopsTheMachine() throws {
        let debugger = try FakeDebugger()
        // What is no packet stops nothing: line noise, acknowledgements, Ctrl-C, a wrong checksum.
        #expect(debugger.session.receive(Array("GET / HTTP/1.1\r\n\r\n+-\u{3}".utf8)) == [])
        #expect(debugger.session.receive(Array("$qC#00".utf8)) == Array("-".utf8))
        #expect(debugger.machine.calls == [])
        #expect(debugger.session.receive(FakeDebugger.frame(Array("qC".utf8))) == Array("+".utf8))
        #expect(debugger.machine.calls == ["attach"])
        #expect(debugger.stop(.asked) == ["QC1"])
    }

    @Test func lastPacketIsSentAgain() throws {
        let debugger = try FakeDebugger()
        #expect(debugger.send("qAttached") == [])
        #expect(debugger.stop(.asked) == ["1"])
        #expect(debugger.session.receive(Array("-".utf8)) == FakeDebugger.frame(Array("1".utf8)))
    }

    @Test func unknownPacketsGetAnEmptyReply() throws {
        let debugger = try FakeDebugger.attached()
        for packet in ["vMustReplyEmpty", "qOffsets", "!", "", "R00", "vFile:open:", "QNonStop:1", "b", "Z5,0,1"] {
            #expect(try debugger.ask(packet) == "", "\(packet)")
        }
    }

    @Test func features() throws {
        let debugger = try FakeDebugger.attached()
        let features = try debugger.ask("qSupported:multiprocess+;swbreak+;hwbreak+").split(separator: ";")
        for feature in ["PacketSize=4000", "QStartNoAckMode+", "qXfer:features:read+", "vContSupported+", "swbreak+"] {
            #expect(features.contains(Substring(feature)))
        }
        #expect(try debugger.ask("vCont?") == "vCont;c;C;s;S")
    }

    // MARK: Threads

    private static func twoCPUs() -> [CPUState] {
        var states = [CPUState(apicID: 0), CPUState(apicID: 1)]
        states[0].gpr[0] = 0x11
        states[1].gpr[0] = 0x22
        return states
    }

    @Test func threadsAreVCPUs() throws {
        let debugger = try FakeDebugger.attached(Self.twoCPUs())
        #expect(try debugger.ask("qfThreadInfo") == "m1,2")
        #expect(try debugger.ask("qsThreadInfo") == "l")
        #expect(try debugger.ask("T2") == "OK")
        #expect(try debugger.ask("T3") == "E01")
        #expect(try debugger.ask("Hg2") == "OK")
        #expect(try debugger.ask("p0") == "2200000000000000")
        #expect(try debugger.ask("Hg0") == "OK")
        #expect(try debugger.ask("p0") == "2200000000000000")
        #expect(try debugger.ask("Hg1") == "OK")
        #expect(try debugger.ask("p0") == "1100000000000000")
        #expect(try debugger.ask("Hgffffffffffffffff") == "E01")
        #expect(
            try unhex(debugger.ask("qThreadExtraInfo,2"))
                == "vCPU 1, real-address mode, ring 0, waiting for a startup IPI")
    }

    @Test func actionsByThread() throws {
        let debugger = try FakeDebugger.attached(Self.twoCPUs())
        func actions(_ packet: String) -> [DebugAction] {
            #expect(debugger.send(packet) == [])
            let actions = debugger.machine.contents.withLock { $0.actions }
            #expect(debugger.stop(.stopped(vcpu: 1, .step)) == ["T05thread:2;"])
            return actions
        }
        #expect(actions("vCont;c") == [.run, .run])
        #expect(actions("vCont;s:2") == [.hold, .step])
        #expect(actions("vCont;s:1;c") == [.step, .run])
        #expect(actions("vCont;C05:2;s:-1") == [.step, .run])
        #expect(actions("vCont;c:p1.1") == [.run, .hold])
        #expect(actions("s") == [.hold, .step])
        #expect(actions("c") == [.run, .run])
        #expect(try debugger.ask("vCont;x") == "E01")
        #expect(try debugger.ask("vCont;c:9") == "E01")
        #expect(try debugger.ask("vCont;") == "E01")
    }

    // MARK: Stops

    @Test func reasons() throws {
        let debugger = try FakeDebugger.attached()
        #expect(try debugger.ask("?") == "T02thread:1;")
        #expect(try debugger.ask("Z0,1000,1") == "OK")
        #expect(try debugger.ask("Z1,2000,1") == "OK")
        let watchpoint = Watchpoint(address: 0x3000, size: 4, kind: .access)
        #expect(try debugger.ask("Z4,3000,4") == "OK")
        var control = DebugControl()
        (control.breakpoints, control.watchpoints) = ([0x1000, 0x2000], [watchpoint])
        #expect(debugger.machine.contents.withLock { $0.control } == control)
        func told(_ event: DebugEvent) -> [String] {
            #expect(debugger.send("vCont;c") == [])
            return debugger.stop(event)
        }
        #expect(told(.stopped(vcpu: 0, .breakpoint(0x1000))) == ["T05thread:1;"])
        #expect(try debugger.ask("qSupported:swbreak+;hwbreak+").isEmpty == false)
        #expect(told(.stopped(vcpu: 0, .breakpoint(0x1000))) == ["T05swbreak:;thread:1;"])
        #expect(told(.stopped(vcpu: 0, .breakpoint(0x2000))) == ["T05hwbreak:;thread:1;"])
        #expect(told(.stopped(vcpu: 0, .watchpoint(watchpoint, address: 0x3002))) == ["T05awatch:3000;thread:1;"])
        let fault = told(.tripleFault(vcpu: 0))
        #expect(fault.count == 2 && unhex(fault[0].dropFirst()).contains("triple fault") && fault[1] == "T06thread:1;")
        for packet in ["z0,1000,1", "z1,2000,1", "z4,3000,4"] { #expect(try debugger.ask(packet) == "OK") }
        #expect(debugger.machine.contents.withLock { $0.control } == DebugControl())
    }

    @Test func whatTheEngineCannotWatchIsRefused() throws {
        let debugger = try FakeDebugger.attached()
        debugger.machine.contents.withLock { $0.mostWatchpoints = 1 }
        #expect(try debugger.ask("Z2,1000,8") == "OK")
        #expect(try debugger.ask("Z2,2000,8") == "E.no watchpoint is left")
        #expect(try debugger.ask("z2,1000,8") == "OK")
        #expect(try debugger.ask("Z2,2000,8") == "OK")
    }

    @Test func controlCStopsARunningMachineOnly() throws {
        let debugger = try FakeDebugger.attached()
        _ = debugger.machine.calls
        #expect(debugger.session.receive([3]) == [])
        #expect(debugger.machine.calls == [])
        #expect(debugger.send("vCont;c") == [])
        #expect(debugger.session.receive([3]) == [])
        #expect(debugger.machine.calls == ["resume", "stop"])
        #expect(debugger.stop(.asked) == ["T02thread:1;"])
    }

    @Test func theEndOfTheRun() throws {
        for (exit, told) in [(DebuggedExit.exited(42), "W2a"), (.aborted, "X06")] {
            let debugger = try FakeDebugger.attached()
            #expect(debugger.send("vCont;c") == [])
            debugger.debuggee.end()
            #expect(debugger.session.ended(exit) == FakeDebugger.frame(Array(told.utf8)))
            #expect(debugger.session.isOver)
        }
    }

    // MARK: Leaving

    @Test func detachAndKill() throws {
        var debugger = try FakeDebugger.attached()
        _ = debugger.machine.calls
        #expect(try debugger.ask("D") == "OK")
        #expect(debugger.session.isOver && debugger.machine.calls == ["detach"] && debugger.debuggee.state == .free)
        for (packet, answer) in [("k", []), ("vKill;1", ["OK"])] {
            debugger = try FakeDebugger.attached()
            _ = debugger.machine.calls
            #expect(debugger.send(packet) == answer)
            #expect(debugger.session.isOver && debugger.machine.calls == ["kill"])
        }
    }

    @Test(arguments: [false, true])
    func lostConnection(running: Bool) throws {
        let debugger = try FakeDebugger.attached()
        #expect(try debugger.ask("Z0,1000,1") == "OK")
        if running { #expect(debugger.send("vCont;c") == []) }
        _ = debugger.machine.calls
        debugger.debuggee.connectionLost()
        // A machine that runs must stand for a moment to be let go.
        #expect(debugger.machine.calls == [running ? "stop" : "detach"])
        if running {
            #expect(debugger.stop(.asked) == [])
            #expect(debugger.machine.calls == ["detach"])
        }
        #expect(debugger.debuggee.state == .free)
        // The next one finds nothing of the last one's.
        debugger.connectAgain()
        #expect(debugger.send("QStartNoAckMode") == [])
        #expect(debugger.stop(.asked) == ["OK"])
        #expect(debugger.send("vCont;c") == [])
        #expect(debugger.machine.contents.withLock { $0.control } == DebugControl())
    }

    @Test func aMachineThatWaitsIsNotStartedByAPassingStranger() throws {
        let debugger = try FakeDebugger(waits: true)
        #expect(debugger.machine.calls == ["attach"])
        #expect(debugger.stop(.asked) == [])
        debugger.debuggee.connectionLost()
        #expect(debugger.machine.calls == [])
        debugger.connectAgain()
        #expect(debugger.send("vCont;c") == [])
        #expect(debugger.machine.calls == ["resume"])
        #expect(debugger.stop(.stopped(vcpu: 0, .step)) == ["T05thread:1;"])
        debugger.debuggee.connectionLost()
        #expect(debugger.machine.calls == ["detach"])
    }

    // MARK: Garbage

    /// A packet that ends the session by right, or has one inside: a dollar sign begins anew, and a brace escapes.
    private static func mayEnd(_ packet: [UInt8]) -> Bool {
        packet.split(separator: UInt8(ascii: "$")).contains { part in
            var isEscaped = false
            var data: [UInt8] = []
            for byte in part {
                if byte == UInt8(ascii: "}"), !isEscaped {
                    isEscaped = true
                } else {
                    data.append(isEscaped ? byte ^ 0x20 : byte)
                    isEscaped = false
                }
            }
            return ["D", "k", "vKill"].contains { data.starts(with: $0.utf8) }
        }
    }

    /// Whatever is sent, the stub neither fails nor stops to answer the next whole packet.
    @Test func fuzz() throws {
        let chosen = ProcessInfo.processInfo.environment["TRAPEZE_PACKET_SEED"].flatMap { UInt64($0) }
        let seed = chosen ?? .random(in: .min ... .max)
        print("packet fuzz: TRAPEZE_PACKET_SEED=\(seed)")
        var random = SplitMix64(seed: seed)
        let seeds = [
            "g", "G00", "p0", "P0=0000", "m0,10", "M0,1:00", "X0,2:ab", "x0,10", "Z0,1000,1", "Z2,ffffffffffffffff,8",
            "z2,0,8",
            "vCont;c:1;s:2", "vCont?", "Hg1", "Hc-1", "T1", "qSupported:a+;b-", "qXfer:features:read:target.xml:0,ffff",
            "qRcmd,68656c70", "qRcmd,7472616e736c6174652030", "qThreadExtraInfo,1", "?", "s", "c1000", "S05;2000",
            "qRcmd," + hex("physical 0xffffffffffffffff 4096"), "qRcmd," + hex("registers"),
            "mffffffffffffffff,ffffffff",
        ].map { Array($0.utf8) }
        let debugger = try FakeDebugger.attached(Self.twoCPUs())
        for round in 0..<20_000 {
            var packet = seeds[Int(random.next() % UInt64(seeds.count))]
            for _ in 0..<random.next() % 4 {
                let byte = UInt8(truncatingIfNeeded: random.next())
                let place = Int(random.next() % UInt64(packet.count + 1))
                switch random.next() % 4 {
                case 0: packet.insert(byte, at: place)
                case 1 where place < packet.count: packet[place] = byte
                case 2 where place < packet.count: packet.remove(at: place)
                default: packet += packet.prefix(place)
                }
            }
            // Framed or not, and with a detach or kill never: those end a session by right.
            if Self.mayEnd(packet) { continue }
            _ =
                random.next() % 8 == 0
                ? debugger.session.receive(packet) : debugger.session.receive(FakeDebugger.frame(packet))
            if debugger.debuggee.state == .running { _ = debugger.stop(.stopped(vcpu: 0, .step)) }
            if round % 100 == 0 {
                _ = debugger.session.receive(Array("#00".utf8))
                #expect(try debugger.ask("qAttached") == "1", "round \(round), seed \(seed)")
            }
        }
        // A packet that never ends takes no memory, and the next one is understood.
        _ = debugger.session.receive([UInt8](repeating: UInt8(ascii: "$"), count: 1 << 20))
        _ = debugger.session.receive([UInt8](repeating: UInt8(ascii: "a"), count: 1 << 20))
        #expect(try debugger.ask("qAttached") == "1")
    }
}
