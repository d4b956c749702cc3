// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Emulation.Functional;

/// <summary>The vendor-specific settings of <see cref="HardwareSetup.Options"/>, as capability values.</summary>
internal sealed class VtdHardwareOptions
{
    /// <summary>Fault records that the hardware has.</summary>
    public const int FaultRecords = 8;

    /// <summary>Byte offset of the fault records, a multiple of 16.</summary>
    public const int FaultRecordOffset = 0x220;

    // What "without" can take away: each is a capability that the driver reads.
    private static readonly Dictionary<string, Field> s_removable = new(StringComparer.Ordinal)
    {
        ["DT"] = Ecap.DT,
        ["FSTS"] = Ecap.FSTS,
        ["PDS"] = Ecap.PDS,
        ["PRS"] = Ecap.PRS,
        ["QI"] = Ecap.QI,
        ["RPS"] = Ecap.RPS,
        ["SMPWCS"] = Ecap.SMPWCS,
        ["SMTS"] = Ecap.SMTS,
        ["SRS"] = Ecap.SRS,
    };

    private static readonly Option<bool> s_cachingMode = Option.Flag("caching-mode", false);
    private static readonly Option<int> s_haw = Option.Number("haw", 32, 52, 52);
    private static readonly Option<int> s_mamv = Option.Number("mamv", 0, 52, 18);
    private static readonly Option<bool> s_rwbf = Option.Flag("rwbf", false);
    private static readonly Option<bool> s_secondStage = Option.Flag("second-stage", false);
    private static readonly Option<Field[]?> s_without = new(
        "without", $"a comma-separated list of {string.Join(", ", s_removable.Keys)}", [], TryParseRemoved);

    private static readonly OptionSet s_options = new(
        "intel-vtd hardware", s_cachingMode, s_haw, s_mamv, s_rwbf, s_secondStage, s_without);

    /// <summary>Reads the settings.</summary>
    /// <exception cref="ArgumentException">An unknown name, or a value out of its range.</exception>
    public VtdHardwareOptions(HardwareSetup setup)
    {
        OptionValues values = s_options.Read(setup);
        bool secondStage = values.Get(s_secondStage);
        HostAddressBits = values.Get(s_haw);

        Capabilities = 0UL
            .With(Cap.ND, 6)
            .With(Cap.RWBF, values.Get(s_rwbf) ? 1u : 0)
            .With(Cap.CM, values.Get(s_cachingMode) ? 1u : 0)
            .With(Cap.SAGAW, 0b00110)
            .With(Cap.MGAW, 47)
            .With(Cap.FRO, FaultRecordOffset / 16)
            .With(Cap.SSLPS, secondStage ? 0b11u : 0)
            .With(Cap.PSI, 1)
            .With(Cap.NFR, FaultRecords - 1)
            .With(Cap.MAMV, (ulong)values.Get(s_mamv))
            .With(Cap.FS1GP, 1);

        ulong coherent = setup.Coherent ? 1u : 0;
        ulong pasid = setup.PasidBits > 0 ? 1u : 0;
        ulong extended = 0UL
            .With(Ecap.C, coherent)
            .With(Ecap.QI, 1)
            .With(Ecap.DT, 1)
            .With(Ecap.PT, 1)
            .With(Ecap.SC, 1)
            .With(Ecap.IRO, 0x50)
            .With(Ecap.NEST, secondStage ? 1u : 0)
            .With(Ecap.PRS, 1)
            .With(Ecap.SRS, 1)
            .With(Ecap.PSS, (ulong)Math.Max(0, setup.PasidBits - 1))
            .With(Ecap.PASID, pasid)
            .With(Ecap.PDS, 1)
            .With(Ecap.SMTS, 1)
            .With(Ecap.SSADS, secondStage ? 1u : 0)
            .With(Ecap.SSTS, secondStage ? 1u : 0)
            .With(Ecap.FSTS, 1)
            .With(Ecap.SMPWCS, coherent)
            .With(Ecap.RPS, 1);

        ExtendedCapabilities = values.Get(s_without)!.Aggregate(extended, (value, field) => value.With(field, 0));
    }

    /// <summary>Bits of a host address; higher bits of table pointers are reserved.</summary>
    public int HostAddressBits { get; }
    public ulong Capabilities { get; }
    public ulong ExtendedCapabilities { get; }

    private static bool TryParseRemoved(string list, out Field[]? fields)
    {
        string[] names = list.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        fields = [.. names.Where(s_removable.ContainsKey).Select(name => s_removable[name])];
        return fields.Length == names.Length;
    }
}
