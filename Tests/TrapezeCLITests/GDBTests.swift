// Stock GDB and the stub: small guests in every mode, and peers that are no GDB.

import Foundation
import Testing

@Suite(.serialized) struct GDBTests {
    private func write(_ bytes: [UInt8], to path: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    private func expect(_ text: String, _ parts: String...) {
        let missing = firstMissing(parts, in: text)
        #expect(missing == nil, "missing: \(missing ?? "") in \(text)")
    }

    // MARK: Modes

    /// Real mode with a code segment that does not begin at 0: GDB's program counter is the linear address.
    @Test func realMode() throws {
        try withTemporaryFolder { folder in
            try write(
                [
                    0xea, 0x05, 0x00, 0xc0, 0x07,  // 7c00: ljmp 0x7c0:5
                    0xb8, 0x34, 0x12,  // 7c05: mov ax, 0x1234
                    0xa3, 0x00, 0x05,  // 7c08: mov [0x500], ax
                    0x40,  // 7c0b: inc ax
                    0xe6, 0xf4,  // 7c0c: out 0xf4, al
                    0xf4,
                ], to: folder + "/flat")
            let run = try GDBRun(["--flat", folder + "/flat"], in: folder)
            let text = try run.gdb([
                "break *0x7c08", "continue", "p/x $pc", "p/x $rax", "stepi", "p/x $pc", "x/1hx 0x500",
                "monitor registers", "monitor architecture i8086", "unset tdesc filename", "x/2i 0x7c08",
                "set $eax = 7", "delete", "continue",
            ])
            expect(
                text, "Breakpoint 1, 0x0000000000007c08", "$1 = 0x7c08", "$2 = 0x1234", "$3 = 0x7c0b", "0x500:\t0x1234",
                "real-address mode", "next instruction: cs:b, linear 7c0b", "mov    %ax,0x500", "inc    %ax",
                "exited with code 010]")
            #expect(try run.status() == 8)
        }
    }

    /// 32-bit protected mode, by Multiboot with its addresses in the header.
    @Test func protectedMode() throws {
        try withTemporaryFolder { folder in
            let header: [UInt32] = [
                0x1bad_b002, 1 << 16, 0 &- 0x1bad_b002 &- 1 << 16, 0x10_0000, 0x10_0000, 0, 0, 0x10_0020,
            ]
            let code: [UInt8] = [
                0xb8, 0x78, 0x56, 0x34, 0x12,  // 100020: mov eax, 0x12345678
                0xbb, 0x00, 0x90, 0x00, 0x00,  // 100025: mov ebx, 0x9000
                0x89, 0x03,  // 10002a: mov [ebx], eax
                0x8b, 0x0b,  // 10002c: mov ecx, [ebx]
                0xb0, 0x2b, 0xe6, 0xf4, 0xf4,  // 10002e: mov al, 43; out 0xf4, al; hlt
            ]
            try write(
                header.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } } + code,
                to: folder + "/kernel")
            let run = try GDBRun(["--kernel", folder + "/kernel"], in: folder)
            let text = try run.gdb([
                "hbreak *0x10002a", "rwatch *(int *)0x9000", "continue", "p/x $rax", "p $cr0", "p $efer",
                "info threads",
                "continue", "p/x $pc", "p/x $rcx", "monitor architecture i386", "unset tdesc filename", "x/2i 0x10002a",
                "p/x $ebx", "delete", "continue",
            ])
            expect(
                text, "Breakpoint 1, 0x000000000010002a", "$1 = 0x12345678", "$2 = [ PE", "$3 = [ ]",
                "vCPU 0, 32-bit protected mode, ring 0", "Hardware read watchpoint 2", "Value = 305419896",
                "$4 = 0x10002e",
                "$5 = 0x12345678", "mov    %eax,(%ebx)", "mov    (%ebx),%ecx", "$6 = 0x9000", "exited with code 053]")
            #expect(try run.status() == 43)
        }
    }

    /// 64-bit mode, by the Linux boot protocol.
    @Test func longMode() throws {
        try withTemporaryFolder { folder in
            let code: [UInt8] = [
                0x48, 0xb8, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,  // mov rax, 0x1122334455667788
                0x48, 0x89, 0x04, 0x25, 0x00, 0x90, 0x00, 0x00,  // mov [0x9000], rax
                0xff, 0x04, 0x25, 0x00, 0x90, 0x00, 0x00,  // inc dword [0x9000]
                0xb0, 0x2a, 0xe6, 0xf4, 0xf4,  // mov al, 42; out 0xf4, al; hlt
            ]
            var image = TinyKernel.image
            image.replaceSubrange(1536..<1536 + code.count, with: code)
            try write(image, to: folder + "/bzImage")
            let run = try GDBRun(["--kernel", folder + "/bzImage"], in: folder)
            let text = try run.gdb([
                "set $start = $pc", "stepi", "p $pc - $start", "p/x $rax", "watch *(long *)0x9000", "continue",
                "p $pc - $start", "continue", "p $pc - $start", "p $cr4", "p $efer", "set var *(long *)0x9000 = 5",
                "p *(long *)0x9000", "set $xmm3.v2_int64[0] = 77", "p $xmm3.v2_int64[0]", "set $st0 = 1.5", "p $st0",
                "set $cr0 = 1UL", "monitor translate 0x9000", "delete", "continue",
            ])
            expect(
                text, "$1 = 10", "$2 = 0x1122334455667788", "Hardware watchpoint 1",
                "New value = 1234605616436508552", "$3 = 18", "New value = 1234605616436508553",
                "$4 = 25", "$5 = [ PAE", "$6 = [ LME LMA", "$7 = 5", "$8 = 77", "$9 = 1.5",
                "of cr0 can be changed by the guest alone", "PML4E at", "9000 is at physical 9000",
                "exited with code 052]")
            #expect(try run.status() == 42)
        }
    }

    // MARK: Going on

    @Test func interruptADebuggeeAndLetItGo() throws {
        try withTemporaryFolder { folder in
            let run = try GDBRun(["halt", "--cpus", "2", "--timeout", "60"], in: folder)
            let mark = folder + "/connected"
            let gdb = try run.start([
                "shell touch \(mark)", "continue", "info threads", "thread 2", "p $_thread", "detach",
            ])
            // GDB prints to a file when it ends only, so what it does next must be guessed.
            while !FileManager.default.fileExists(atPath: mark), gdb.child.wait(seconds: 0.01) == nil {}
            sleep(1)
            kill(gdb.child.pid, SIGINT)
            #expect(gdb.child.wait(seconds: 30) != nil)
            expect(
                try gdb.text, "SIGINT", "vCPU 0, ", "halted", "vCPU 1, ", "waiting for a startup IPI", "$1 = 2",
                "detached")
            // It still runs, and can be debugged again, and killed.
            #expect(run.guest.wait(seconds: 0) == nil)
            let again = try run.gdb(["monitor vcpus", "kill"])
            expect(again, "vCPU 0: ", "halted")
            #expect(try run.status() == 0)
        }
    }

    /// A debugger that stops the tour in between changes nothing of what it prints.
    @Test func theTourIsTheSame() throws {
        try withTemporaryFolder { folder in
            let run = try GDBRun(["tour"], in: folder)
            let text = try run.gdb(
                ["stepi 2000", "info registers", "stepi 2000", "tbreak *$pc", "monitor registers", "detach"])
            expect(text, "detached")
            #expect(try run.status() == 0)
            #expect(try run.output == TrapezeCLITests.run("run", "tour").output)
        }
    }

    /// A reset with `--on-reset restart` gives a new machine, in which breakpoints are still there.
    @Test func breakpointsOutliveAReset() throws {
        try withTemporaryFolder { folder in
            let run = try GDBRun(["reset", "--on-reset", "restart"], in: folder)
            let text = try run.gdb([
                "stepi", "set $place = $pc", "break *$pc", "continue", "continue", "p $pc == $place", "kill",
            ])
            expect(text, "Breakpoint 1, ", "Breakpoint 1, ", "$1 = 1")
            #expect(try run.status() == 0)
        }
    }

    @Test func aTripleFaultCanBeLookedAt() throws {
        try withTemporaryFolder { folder in
            let run = try GDBRun(["triple-fault"], in: folder)
            let text = try run.gdb(["continue", "monitor vcpus", "continue"])
            expect(text, "triple fault", "SIGABRT", "shut down", "terminated with signal SIGABRT")
            #expect(try run.status() == 255)
        }
    }

    // MARK: Other peers

    private func connect(_ port: UInt16) throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Foundation.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(result == 0)
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        return descriptor
    }

    private func send(_ text: String, to descriptor: Int32) {
        let bytes = Array(text.utf8)
        _ = Foundation.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    /// Garbage, silence, a session that breaks off while the guest stands or runs: the guest goes on and ends as always.
    @Test func peersThatAreNoDebugger() throws {
        try withTemporaryFolder { folder in
            let run = try GDBRun(["tour"], waits: true, in: folder)
            for message in [
                "", "GET / HTTP/1.0\r\n\r\n", "$", "$qSupported#00", String(repeating: "$}\u{3}-", count: 10_000),
            ] {
                let descriptor = try connect(run.port)
                send(message, to: descriptor)
                close(descriptor)
            }
            // None of them has started the guest that waits; a second peer is turned away while one is served.
            usleep(300_000)
            #expect(try run.output.isEmpty)
            let first = try connect(run.port)
            send("$qAttached#8f", to: first)
            var buffer = [UInt8](repeating: 0, count: 16)
            #expect(recv(first, &buffer, 1, 0) == 1)
            let second = try connect(run.port)
            #expect(recv(second, &buffer, buffer.count, 0) == 0)
            close(second)
            send("$vCont;c#a8", to: first)
            close(first)
            #expect(try run.status() == 0)
            #expect(try run.output == TrapezeCLITests.run("run", "tour").output)
        }
    }

    @Test func aPortThatIsTaken() throws {
        try withTemporaryFolder { folder in
            let run = try GDBRun(["halt", "--timeout", "30"], waits: false, in: folder)
            let second = try TrapezeCLITests.run("run", "tour", "--engine", "interpret", "--gdb", run.address)
            #expect(second.status == 125)
            #expect(second.errors == "trapeze: debug server: cannot listen on \(run.address): address already in use\n")
            #expect(second.output.isEmpty)
        }
    }
}
