// SPDX-License-Identifier: Apache-2.0
using System.Globalization;

namespace PasidFramework.Drivers.ArmSmmu.Emulation.Functional;

/// <summary>What the stand-in hardware reports of itself; the names are those of
/// <see cref="HardwareSetup.Options"/>.</summary>
internal sealed record SmmuHardwareOptions
{
    private static readonly int[] s_outputBits = [32, 36, 40, 42, 44, 48];
    private static readonly Option<int> s_sidBits = Option.Number("sid-bits", 1, 32, 16);
    private static readonly Option<string> s_oas = Option.Choice("oas", "48", "32", "36", "40", "42", "44");
    private static readonly Option<int> s_commandQueue = Option.Number("command-queue-log2", 1, 19, 19);
    private static readonly Option<int> s_eventQueue = Option.Number("event-queue-log2", 1, 19, 19);
    private static readonly Option<int> s_stallModel = Option.Number("stall-model", 0, 2, 1);
    private static readonly Option<bool> s_ril = Option.Flag("ril", true);
    private static readonly Option<bool> s_asid16 = Option.Flag("asid16", true);
    private static readonly Option<bool> s_ats = Option.Flag("ats", true);
    private static readonly Option<bool> s_cd2l = Option.Flag("cd2l", true);
    private static readonly Option<bool> s_st2l = Option.Flag("st2l", true);
    private static readonly Option<bool> s_s2p = Option.Flag("s2p", false);
    private static readonly Option<int> s_log = Option.Number("log", 0, 1 << 20, 0);

    private static readonly Option[] s_plain =
    [
        s_sidBits, s_oas, s_commandQueue, s_eventQueue, s_stallModel, s_ril, s_asid16, s_ats, s_cd2l, s_st2l, s_log,
    ];

    private static readonly OptionSet s_hardware = new("arm-smmuv3 hardware", s_plain);
    private static readonly OptionSet s_model = new("arm-smmuv3 model", [.. s_plain, s_s2p]);

    /// <summary>IDR1.SSIDSIZE, 0 to 20: <see cref="HardwareSetup.PasidBits"/>.</summary>
    public int SubstreamBits { get; init; } = Pasid.MaxBits;

    /// <summary>IDR0.COHACC.</summary>
    public bool Coherent { get; init; } = true;

    /// <summary><c>sid-bits</c>: IDR1.SIDSIZE, 1 to 32.</summary>
    public int SidBits { get; init; } = 16;

    /// <summary><c>oas</c>: output address bits, 32, 36, 40, 42, 44 or 48 (IDR5.OAS).</summary>
    public int OutputBits { get; init; } = 48;

    /// <summary><c>command-queue-log2</c>: IDR1.CMDQS, 1 to 19.</summary>
    public int CommandQueueLog2 { get; init; } = 19;

    /// <summary><c>event-queue-log2</c>: IDR1.EVTQS, 1 to 19.</summary>
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
    /// <param name="isModel">Whether the options of the model are known, too.</param>
    /// <exception cref="ArgumentException">A name is unknown or a value out of its range.</exception>
    public static SmmuHardwareOptions Parse(HardwareSetup setup, bool isModel = false)
    {
        OptionValues values = (isModel ? s_model : s_hardware).Read(setup);
        return new SmmuHardwareOptions
        {
            SubstreamBits = setup.PasidBits,
            Coherent = setup.Coherent,
            SidBits = values.Get(s_sidBits),
            OutputBits = int.Parse(values.Get(s_oas), CultureInfo.InvariantCulture),
            CommandQueueLog2 = values.Get(s_commandQueue),
            EventQueueLog2 = values.Get(s_eventQueue),
            StallModel = values.Get(s_stallModel),
            HasRange = values.Get(s_ril),
            HasWideAsids = values.Get(s_asid16),
            HasAts = values.Get(s_ats),
            HasTwoLevelContexts = values.Get(s_cd2l),
            HasTwoLevelStreams = values.Get(s_st2l),
            HasStage2 = values.Get(s_s2p),
            LogCapacity = values.Get(s_log),
        };
    }

    public uint Idr0 => (uint)0UL
        .With(IdRegisters.S2P, Bit(HasStage2)).With(IdRegisters.S1P, 1).With(IdRegisters.TTF, 2)
        .With(IdRegisters.COHACC, Bit(Coherent)).With(IdRegisters.ATS, Bit(HasAts))
        .With(IdRegisters.ASID16, Bit(HasWideAsids)).With(IdRegisters.VMID16, Bit(HasStage2))
        .With(IdRegisters.CD2L, Bit(HasTwoLevelContexts)).With(IdRegisters.STALL_MODEL, (ulong)StallModel)
        .With(IdRegisters.ST_LEVEL, Bit(HasTwoLevelStreams));

    public uint Idr1 => (uint)0UL.With(IdRegisters.SIDSIZE, (ulong)SidBits)
        .With(IdRegisters.SSIDSIZE, (ulong)SubstreamBits).With(IdRegisters.EVTQS, (ulong)EventQueueLog2)
        .With(IdRegisters.CMDQS, (ulong)CommandQueueLog2);

    public uint Idr3 => (uint)0UL.With(IdRegisters.RIL, Bit(HasRange));

    public uint Idr5 =>
        (uint)0UL.With(IdRegisters.OAS, (ulong)Array.IndexOf(s_outputBits, OutputBits)).With(IdRegisters.GRAN4K, 1);

    private static ulong Bit(bool value) => value ? 1UL : 0;
}
