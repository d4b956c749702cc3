// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;
using PasidFramework.DriverKit.PageTables;

namespace PasidFramework.Drivers.VirtioIommu.Emulation.Caching;

/// <summary>One context descriptor of an attached table (Arm IHI 0070 5.4) as this model's hardware takes it.</summary>
/// <remarks>That hardware has 4 KiB granules, 48-bit output, 16-bit ASIDs, no stalls, no hardware updates of flags and
/// no upper half of the address space, and always aborts (TERM_MODEL 1).</remarks>
internal readonly struct AttachedDescriptor
{
    private const int OutputBits = 48;
    private readonly AttachedStructures _arm;
    private readonly Deciding _words;

    /// <summary>Takes the words; beyond the first four nothing decides what an access does.</summary>
    public AttachedDescriptor(AttachedStructures arm, ReadOnlySpan<ulong> words)
    {
        _arm = arm;
        words[..Deciding.Count].CopyTo(_words);
    }

    public bool IsValid => Has(_arm.V);
    public int T0Sz => (int)Get(_arm.T0SZ);

    /// <summary>EPD0: TTB0 is not walked, every access ends.</summary>
    public bool IsQuiet => Has(_arm.EPD0);

    public bool IgnoresTopByte => Has(_arm.TBI0);

    /// <summary>AFFD: an access flag of 0 does not fault.</summary>
    public bool IgnoresAccessFlag => Has(_arm.AFFD);

    /// <summary>R: faults are recorded.</summary>
    public bool Records => Has(_arm.R);

    public uint Asid => (uint)Get(_arm.ASID);

    /// <summary>HAD0: attributes in table descriptors do not count.</summary>
    public bool IgnoresHierarchy => Has(_arm.HAD0);

    public ulong Ttb0 => ((ReadOnlySpan<ulong>)_words).GetAddress(_arm.TTB0);
    public int Ips => (int)Get(_arm.IPS);

    /// <summary>Address bits of IPS; beyond what the device has they are cut.</summary>
    public int AddressBits => Ips switch { 0 => 32, 1 => 36, 2 => 40, 3 => 42, 4 => 44, _ => OutputBits };

    /// <summary>Whether an attribute of MAIR stands for Device memory: the upper half of its byte is 0.</summary>
    public bool IsDeviceMemory(int attribute) => (Get(_arm.MAIR) >> (attribute * 8) & 0xF0) == 0;

    /// <summary>Why hardware refuses the descriptor (C_BAD_CD), or null.</summary>
    public string? Objection(uint substream) => Refusal() is not { } why
        ? null
        : Text($"the context descriptor of substream 0x{substream:x} is refused: {why}");

    /// <summary>Where the page table begins: hardware ignores the bits of TTB0 below its first table's size.</summary>
    public ulong FirstTable(out int level)
    {
        int inputBits = 64 - T0Sz;
        RadixFormat format = StageOneWalker.Format;
        level = inputBits > format.Shift(4) ? 4 : inputBits > format.Shift(3) ? 3 : 2;
        int indexBits = Math.Clamp(inputBits - format.Shift(level), 1, format.IndexBits);
        return Ttb0 & ~((8UL << indexBits) - 1);
    }

    /// <summary>Whether two descriptors lead accesses the same way; what a quiet one ignores does not count.</summary>
    public bool TranslatesLike(in AttachedDescriptor other)
    {
        if (IsValid != other.IsValid || !IsValid)
        {
            return IsValid == other.IsValid;
        }

        // The upper half is off, so the word of TTB1 does not count.
        return IsQuiet || other.IsQuiet
            ? IsQuiet == other.IsQuiet && Records == other.Records
            : _words[0] == other._words[0] && _words[1] == other._words[1] && _words[3] == other._words[3];
    }

    private ulong Get(Field field) => ((ReadOnlySpan<ulong>)_words).Get(field);
    private bool Has(Field field) => Get(field) != 0;

    private string? Refusal()
    {
        string? why = !IsValid ? "V is 0, not valid"
            : !Has(_arm.AA64) ? "AA64 is 0, not AArch64"
            : Has(_arm.ENDI) ? "ENDI is 1, big-endian tables are not supported"
            : Has(_arm.HA) || Has(_arm.HD) ? "HA or HD is 1, hardware updates are not supported"
            : Has(_arm.S) ? "S is 1, stalls are not supported"
            : !Has(_arm.A) ? "A is 0, terminated accesses always abort"
            : Has(_arm.DS) ? "DS is 1, 52-bit addresses are not supported"
            : !Has(_arm.EPD1) ? "EPD1 is 0, the upper half of the address space is not supported"
            : null;
        return why is not null || IsQuiet ? why
            : T0Sz is < 16 or > 39 ? Text($"T0SZ is {T0Sz}, legal are 16 to 39")
            : Has(_arm.TG0) ? Text($"TG0 is {Get(_arm.TG0)}, only 0 (4 KiB) is supported")
            : Ttb0 >> AddressBits != 0
                ? Text($"TTB0 is 0x{Ttb0:x}, outside of the {AddressBits} bits of IPS {Ips}")
            : null;
    }

    [InlineArray(Count)]
    private struct Deciding
    {
        public const int Count = 4;
        private ulong _first;
    }
}
