// Stock GDB on Debian's kernel, with the kernel's symbols: from `start_kernel` to the end of a command. Skipped, with the
// reason, where GDB or Debian's kernel is not to be had.

import DebianGuest
import Foundation
import Testing

@Suite(.serialized) struct DebianGDBTests {
    /// Debian's debug package has a gigabyte. The symbols come from the kernel itself instead, which tells root where they
    /// are; without randomisation they are there in the next boot too.
    private func symbols(_ folder: String) throws -> (file: SymbolFile, version: String) {
        let names = "_text|start_kernel|linux_banner|jiffies|system_state|init_task"
        let command = "grep -E ' (\(names))$' /proc/kallsyms; cat /proc/version"
        let result = try run(
            "run", "debian", "--append", "nokaslr", "--timeout", "500", "--", "sh", "-c", command, seconds: 600)
        try #require(result.status == 0, "\(result.errors)")
        let symbols = SymbolFile(kallsyms: result.output)
        try #require(symbols["start_kernel"] != nil && symbols["system_state"] != nil, "\(result.output)")
        try Data(symbols.bytes).write(to: URL(filePath: folder + "/symbols"))
        return (symbols, result.output.components(separatedBy: .newlines).first { $0.hasPrefix("Linux version") } ?? "")
    }

    @Test(arguments: [1, 2])
    func fromStartKernelToTheShell(processors: Int) throws {
        guard gdbPath != nil else { try Test.cancel("gdb is not installed") }
        do throws(DebianGuestError) {
            _ = try DebianGuest.prepare(DebianGuestOptions()) { print($0) }
        } catch {
            try Test.cancel("Debian cannot be prepared: \(error.description)")
        }
        try withTemporaryFolder { folder in
            let (symbols, version) = try symbols(folder)
            let start = try #require(symbols["start_kernel"])
            let guest = try GDBRun(
                [
                    "debian", "--append", "nokaslr", "--cpus", "\(processors)", "--timeout", "500", "--", "sh", "-c",
                    "exit 7",
                ], in: folder)
            let text = try guest.gdb(
                [
                    "set print elements 0", "file \(folder)/symbols", "break start_kernel", "continue", "p/x $pc",
                    "stepi", "stepi", "stepi",
                    "p (char *)$pc != (char *)&start_kernel",
                    "info registers rsp cr3 gs_base",
                    "p $cr0", "x/s &linux_banner", "monitor translate 0x\(String(start, radix: 16))",
                    // The kernel's states up to SYSTEM_RUNNING, and its tick count.
                    "p *(int *)&system_state", "watch *(int *)&system_state", "continue",
                    "watch *(unsigned long *)&jiffies", "continue", "delete 3", "continue", "continue", "info threads",
                    "delete", "continue",
                ], seconds: 600)
            let missing = firstMissing(
                [
                    "Breakpoint 1, 0x\(String(start, radix: 16)) in start_kernel ()",
                    "$1 = 0x\(String(start, radix: 16))",
                    "$2 = 1", "rsp            0xffffffff8", "$3 = [ PE ", " PG ]", version, "PML4E at",
                    "is at physical ",
                    "$4 = 0", "Hardware watchpoint 2", "Old value = 0", "New value = 1", "Hardware watchpoint 3",
                    "Hardware watchpoint 3", "Old value = 4294", "New value = 4294", "Old value = 1", "New value = 2",
                    "Old value = 2", "New value = 3",
                    "vCPU 0, 64-bit mode, ring 0", "exited with code 07]",
                ], in: text)
            #expect(missing == nil, "missing: \(missing ?? "") in \(text)")
            #expect(text.contains("vCPU 1, 64-bit mode") == (processors == 2))
            // The shell was there: this is its status.
            #expect(try guest.status() == 7)
        }
    }
}
