// The guest's program that ends the run: `exit STATUS` writes STATUS to the exit port.
//
// Debian's cloud kernels have no /dev/port, so no shell can do it. The program waits until the console has sent what was
// written to it, asks for the right to the port, writes, and, on a machine whose exit port does nothing, powers off.

package enum ExitProgram {
    /// The I/O port that ends the run with the value written to it.
    static let port: UInt16 = 0xF4

    /// The program, a static ELF file. Its one argument is a decimal number, of which the low 8 bits count.
    package static let file = StaticExecutable(code: code).file

    /// System call numbers are those of arch/x86/entry/syscalls/syscall_64.tbl; the number goes in eax, arguments in
    /// edi, esi, edx. At the entry [rsp] is argc, [rsp+8] argv[0], [rsp+16] argv[1] or NULL.
    private static let code: [UInt8] = [
        // ioctl(1, TCSBRK, 1): tcdrain, the last of the command's output
        0xB8, 0x10, 0x00, 0x00, 0x00,  // mov eax, 16
        0xBF, 0x01, 0x00, 0x00, 0x00,  // mov edi, 1
        0xBE, 0x09, 0x54, 0x00, 0x00,  // mov esi, 0x5409
        0xBA, 0x01, 0x00, 0x00, 0x00,  // mov edx, 1
        0x0F, 0x05,  // syscall

        // ioperm(0xF4, 1, 1)
        0xB8, 0xAD, 0x00, 0x00, 0x00,  // mov eax, 173
        0xBF, UInt8(truncatingIfNeeded: port), UInt8(port >> 8), 0x00, 0x00,  // mov edi, port
        0xBE, 0x01, 0x00, 0x00, 0x00,  // mov esi, 1
        0xBA, 0x01, 0x00, 0x00, 0x00,  // mov edx, 1
        0x0F, 0x05,  // syscall
        0x41, 0x89, 0xC0,  // mov r8d, eax: 0 when the port is ours

        // eax = the decimal number in argv[1]
        0x31, 0xC0,  // xor eax, eax
        0x48, 0x8B, 0x74, 0x24, 0x10,  // mov rsi, [rsp+16]
        0x48, 0x85, 0xF6,  // test rsi, rsi
        0x74, 0x15,  // jz done (+21)
        // next:
        0x0F, 0xB6, 0x0E,  // movzx ecx, byte [rsi]
        0x83, 0xE9, 0x30,  // sub ecx, '0'
        0x83, 0xF9, 0x09,  // cmp ecx, 9
        0x77, 0x0A,  // ja done (+10)
        0x6B, 0xC0, 0x0A,  // imul eax, eax, 10
        0x01, 0xC8,  // add eax, ecx
        0x48, 0xFF, 0xC6,  // inc rsi
        0xEB, 0xEB,  // jmp next (-21)
        // done:
        0x45, 0x85, 0xC0,  // test r8d, r8d
        0x75, 0x06,  // jnz off (+6)
        0xBA, UInt8(truncatingIfNeeded: port), UInt8(port >> 8), 0x00, 0x00,  // mov edx, port
        0xEE,  // out dx, al

        // off: reboot(LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_POWER_OFF), for ever
        0xB8, 0xA9, 0x00, 0x00, 0x00,  // mov eax, 169
        0xBF, 0xAD, 0xDE, 0xE1, 0xFE,  // mov edi, 0xFEE1DEAD
        0xBE, 0x69, 0x19, 0x12, 0x28,  // mov esi, 0x28121969
        0xBA, 0xDC, 0xFE, 0x21, 0x43,  // mov edx, 0x4321FEDC
        0x0F, 0x05,  // syscall
        0xEB, 0xE8,  // jmp off (-24)
    ]
}
