using System.Globalization;
using PasidFramework.Drivers.ArmSmmu.Formats;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Records;

namespace PasidFramework.Drivers.ArmSmmu.Emulation.Functional;

/// <summary>What the stand-in hardware reports of itself; the names are those of
/// <see cref="HardwareSetup.Options"/>.</summary>
internal sealed record SmmuHardwareOptions
{
    private static readonly int[] s_outputBits = [32, 36, 40, 42, 44, 48];

    /// <summary>IDR1.SSIDSIZE, 0 to 20: <see cref="HardwareSetup.PasidBits"/>.</summary>
    public int SubstreamBits { get; init; } = Pasid.MaxBits;

    /// <summary>IDR0.COHACC.</summary>
    public bool Coherent { get; init; } = true;

    /// <summary><c>sid-bits</c>: IDR1.SIDSIZE, 1 to 32.</summary>
    public int SidBits { get; init; } = 16;

    /// <summary><c>oas</c>: output address bits, 32, 36, 40, 42, 44 or 48 (IDR5.OAS).</summary>
    public int OutputBits { get; init; } = 48;

    /// <summary><c>cmdq-bits</c>: IDR1.CMDQS, 1 to 19.</summary>
    public int CommandQueueLog2 { get; init; } = 19;

    /// <summary><c>evtq-bits</c>: IDR1.EVTQS, 1 to 19.</summary>
    public int EventQueueLog2 { get; init; } = 19;

    /// <summary><c>stall-model</c>: IDR0.STALL_MODEL, 0 to 2.</summary>
    public int StallModel { get; init; } = 1;

    /// <summary><c>ril</c>: IDR3.RIL.</summary>
    public bool HasRange { get; init; } = true;

    /// <summary><c>asid16</c>: IDR0.ASID16.</summary>
    public bool HasWideAsids { get; init; } = true;

    /// <summary><c>ats</c>: IDR0.ATS.</summary>
    public bool HasAts { get; init; } = true;

    /// <summary><c>cd2l</c>: IDR0.CD2L.</summary>
    public bool HasTwoLevelContexts { get; init; } = true;

    /// <summary><c>st2l</c>: IDR0.ST_LEVEL.</summary>
    public bool HasTwoLevelStreams { get; init; } = true;

    /// <summary><c>s2p</c>, of the model only: IDR0.S2P.</summary>
    public bool HasStage2 { get; init; }

    /// <summary>IDR5.GRAN16K and GRAN64K: what a dump's hardware may have had.</summary>
    public bool HasLargeGranules { get; init; }

    /// <summary><c>log</c>: how many consumed commands are kept for inspection, 0 to 1048576.</summary>
    public int LogCapacity { get; init; }

    /// <summary>Whether a granule is supported.</summary>
    /// <param name="shift">log2 of its bytes; 0 for a reserved encoding.</param>
    public bool HasGranule(int shift) => shift == 12 || (shift is 14 or 16 && HasLargeGranules);

    /// <summary>Reads a setup.</summary>
    /// <param name="setup">The setup.</param>
    /// <param name="isModel">Whether the options of the model are known, too.</param>
    /// <exception cref="ArgumentException">A name is unknown or a value out of its range.</exception>
    public static SmmuHardwareOptions Parse(HardwareSetup setup, bool isModel = false)
    {
        if (setup.PasidBits is < 0 or > Pasid.MaxBits)
        {
            throw new ArgumentException(
                $"PasidBits is {setup.PasidBits}, 0 to {Pasid.MaxBits} are possible.", nameof(setup));
        }

        var result = new SmmuHardwareOptions { SubstreamBits = setup.PasidBits, Coherent = setup.Coherent };
        foreach ((string name, string text) in setup.Options)
        {
            result = name switch
            {
                "sid-bits" => result with { SidBits = Number(name, text, 1, 32) },
                "oas" => result with { OutputBits = Size(name, text) },
                "cmdq-bits" => result with { CommandQueueLog2 = Number(name, text, 1, 19) },
                "evtq-bits" => result with { EventQueueLog2 = Number(name, text, 1, 19) },
                "stall-model" => result with { StallModel = Number(name, text, 0, 2) },
                "ril" => result with { HasRange = Flag(name, text) },
                "asid16" => result with { HasWideAsids = Flag(name, text) },
                "ats" => result with { HasAts = Flag(name, text) },
                "cd2l" => result with { HasTwoLevelContexts = Flag(name, text) },
                "st2l" => result with { HasTwoLevelStreams = Flag(name, text) },
                "s2p" when isModel => result with { HasStage2 = Flag(name, text) },
                "log" => result with { LogCapacity = Number(name, text, 0, 1 << 20) },
                _ => throw new ArgumentException(
                    $"Unknown option '{name}'; known are sid-bits, oas, cmdq-bits, evtq-bits, stall-model, ril, "
                    + $"asid16, ats, cd2l, st2l, log{(isModel ? ", s2p" : string.Empty)}.",
                    nameof(setup)),
            };
        }

        return result;
    }

    /// <summary>IDR0.</summary>
    public uint Idr0
    {
        get
        {
            Span<ulong> words = [0];
            words.Set(IdRegisters.S2P, Bit(HasStage2));
            words.Set(IdRegisters.S1P, 1);
            words.Set(IdRegisters.TTF, 2);
            words.Set(IdRegisters.COHACC, Bit(Coherent));
            words.Set(IdRegisters.ATS, Bit(HasAts));
            words.Set(IdRegisters.ASID16, Bit(HasWideAsids));
            words.Set(IdRegisters.VMID16, Bit(HasStage2));
            words.Set(IdRegisters.CD2L, Bit(HasTwoLevelContexts));
            words.Set(IdRegisters.STALL_MODEL, (ulong)StallModel);
            words.Set(IdRegisters.ST_LEVEL, Bit(HasTwoLevelStreams));
            return (uint)words[0];
        }
    }

    /// <summary>IDR1.</summary>
    public uint Idr1
    {
        get
        {
            Span<ulong> words = [0];
            words.Set(IdRegisters.SIDSIZE, (ulong)SidBits);
            words.Set(IdRegisters.SSIDSIZE, (ulong)SubstreamBits);
            words.Set(IdRegisters.EVTQS, (ulong)EventQueueLog2);
            words.Set(IdRegisters.CMDQS, (ulong)CommandQueueLog2);
            return (uint)words[0];
        }
    }

    /// <summary>IDR3.</summary>
    public uint Idr3
    {
        get
        {
            Span<ulong> words = [0];
            words.Set(IdRegisters.RIL, Bit(HasRange));
            return (uint)words[0];
        }
    }

    /// <summary>IDR5.</summary>
    public uint Idr5
    {
        get
        {
            Span<ulong> words = [0];
            words.Set(IdRegisters.OAS, (ulong)Array.IndexOf(s_outputBits, OutputBits));
            words.Set(IdRegisters.GRAN4K, 1);
            return (uint)words[0];
        }
    }

    private static ulong Bit(bool value) => value ? 1UL : 0;

    private static int Number(string name, string text, int least, int most) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value)
            && value >= least
            && value <= most
            ? value
            : throw new ArgumentException($"Option {name} is '{text}', a number from {least} to {most} is expected.");

    private static int Size(string name, string text)
    {
        int value = Number(name, text, 32, 48);
        return s_outputBits.Contains(value)
            ? value
            : throw new ArgumentException(
                $"Option {name} is '{text}', one of {string.Join(", ", s_outputBits)} is expected.");
    }

    private static bool Flag(string name, string text) => text switch
    {
        "1" or "true" => true,
        "0" or "false" => false,
        _ => throw new ArgumentException($"Option {name} is '{text}', true (1) or false (0) is expected."),
    };
}
