// The guest's program `foreground COMMAND…`: gives SIGINT and SIGQUIT their default actions, then becomes COMMAND.
//
// A shell ignores both on behalf of what it starts in the background, and no shell can undo that later (POSIX XCU 2.11,
// 2.14 trap); without this Ctrl-C would do nothing in the session, which process 1 runs in the background.

package enum ForegroundProgram {
    /// The program, a static ELF file.
    package static let file = StaticExecutable(code: code).file

    /// At the entry [rsp] is argc, [rsp+8] argv[0], [rsp+16] argv[1]; the environment follows argv's final NULL.
    /// System call arguments go in rdi, rsi, rdx, r10; a system call changes rax, rcx and r11 alone.
    private static let code: [UInt8] = [
        // rt_sigaction(SIGINT, {SIG_DFL}, NULL, 8) and the same for SIGQUIT; the structure is 32 bytes of zero
        0x6A, 0x00, 0x6A, 0x00, 0x6A, 0x00, 0x6A, 0x00,  // push 0, four times
        0x48, 0x89, 0xE6,  // mov rsi, rsp
        0x31, 0xD2,  // xor edx, edx
        0x41, 0xBA, 0x08, 0x00, 0x00, 0x00,  // mov r10d, 8
        0xBF, 0x02, 0x00, 0x00, 0x00,  // mov edi, SIGINT
        0xB8, 0x0D, 0x00, 0x00, 0x00,  // mov eax, 13
        0x0F, 0x05,  // syscall
        0xBF, 0x03, 0x00, 0x00, 0x00,  // mov edi, SIGQUIT
        0xB8, 0x0D, 0x00, 0x00, 0x00,  // mov eax, 13
        0x0F, 0x05,  // syscall
        0x48, 0x83, 0xC4, 0x20,  // add rsp, 32

        // execve(argv[1], &argv[1], envp)
        0x48, 0x8B, 0x7C, 0x24, 0x10,  // mov rdi, [rsp+16]
        0x48, 0x8D, 0x74, 0x24, 0x10,  // lea rsi, [rsp+16]
        0x48, 0x8B, 0x04, 0x24,  // mov rax, [rsp]
        0x48, 0x8D, 0x54, 0xC4, 0x10,  // lea rdx, [rsp+rax*8+16]
        0xB8, 0x3B, 0x00, 0x00, 0x00,  // mov eax, 59
        0x0F, 0x05,  // syscall

        // exit(127)
        0xBF, 0x7F, 0x00, 0x00, 0x00,  // mov edi, 127
        0xB8, 0x3C, 0x00, 0x00, 0x00,  // mov eax, 60
        0x0F, 0x05,  // syscall
    ]
}
