// SPDX-License-Identifier: Apache-2.0


namespace PasidFramework.Qemu.Machine;

/// <summary>One command of QEMU's QTest protocol.</summary>
internal readonly record struct QTestCommand
{
    private QTestCommand(InvariantText line, bool hasNumber)
    {
        Line = Text(line);
        HasNumber = hasNumber;
    }

    /// <summary>The line, without its end.</summary>
    public string Line { get; }

    public bool HasNumber { get; }
    public static QTestCommand Read(ulong address, int bits) => new($"read{Letter(bits)} 0x{address:x}", true);

    public static QTestCommand Write(ulong address, ulong value, int bits) =>
        new($"write{Letter(bits)} 0x{address:x} 0x{value:x}", false);

    public static QTestCommand In32(int port) => new($"inl 0x{port:x}", true);

    public static QTestCommand Out32(int port, uint value) => new($"outl 0x{port:x} 0x{value:x}", false);

    /// <summary>Lets virtual time pass (qtest accelerator only).</summary>
    public static QTestCommand StepClock(long nanoseconds) => new($"clock_step {nanoseconds}", false);

    private static char Letter(int bits) => bits switch
    {
        8 => 'b',
        16 => 'w',
        32 => 'l',
        64 => 'q',
        _ => throw new ArgumentOutOfRangeException(nameof(bits), bits, null),
    };
}
