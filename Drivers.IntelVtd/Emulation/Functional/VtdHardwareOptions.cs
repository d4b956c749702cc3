using System.Globalization;
using PasidFramework.Drivers.IntelVtd.Formats;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Records;

namespace PasidFramework.Drivers.IntelVtd.Emulation.Functional;

/// <summary>The vendor-specific settings of <see cref="HardwareSetup.Options"/>, as capability values.</summary>
internal sealed class VtdHardwareOptions
{
    private const string Names = "caching-mode, haw, mamv, rwbf, second-stage, without";

    /// <summary>Fault records that the hardware has.</summary>
    public const int FaultRecords = 8;

    /// <summary>Byte offset of the fault records, a multiple of 16.</summary>
    public const int FaultRecordOffset = 0x220;

    // What "without" can take away: each is a capability that the driver looks at.
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

    /// <summary>Reads the settings.</summary>
    /// <exception cref="ArgumentException">An unknown name, or a value out of its range.</exception>
    public VtdHardwareOptions(HardwareSetup setup)
    {
        ArgumentNullException.ThrowIfNull(setup);
        if (setup.PasidBits is < 0 or > Pasid.MaxBits)
        {
            throw new ArgumentException(
                $"PasidBits is {setup.PasidBits}, it must be 0 to {Pasid.MaxBits}.", nameof(setup));
        }

        bool cachingMode = false;
        bool writeBuffer = false;
        bool secondStage = false;
        int mamv = 18;
        string without = string.Empty;
        foreach ((string name, string value) in setup.Options)
        {
            switch (name)
            {
                case "caching-mode":
                    cachingMode = Number(name, value, 0, 1) == 1;
                    break;
                case "rwbf":
                    writeBuffer = Number(name, value, 0, 1) == 1;
                    break;
                case "second-stage":
                    secondStage = Number(name, value, 0, 1) == 1;
                    break;
                case "mamv":
                    mamv = Number(name, value, 0, 52);
                    break;
                case "haw":
                    HostAddressBits = Number(name, value, 32, 52);
                    break;
                case "without":
                    without = value;
                    break;
                default:
                    throw new ArgumentException(
                        $"intel-vtd hardware has no option '{name}'; it has {Names}.", nameof(setup));
            }
        }

        Capabilities = 0UL
            .With(Cap.ND, 6)
            .With(Cap.RWBF, writeBuffer ? 1u : 0)
            .With(Cap.CM, cachingMode ? 1u : 0)
            .With(Cap.SAGAW, 0b00110)
            .With(Cap.MGAW, 47)
            .With(Cap.FRO, FaultRecordOffset / 16)
            .With(Cap.SSLPS, secondStage ? 0b11u : 0)
            .With(Cap.PSI, 1)
            .With(Cap.NFR, FaultRecords - 1)
            .With(Cap.MAMV, (ulong)mamv)
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

        const StringSplitOptions Split = StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries;
        foreach (string bit in without.Split(',', Split))
        {
            if (!s_removable.TryGetValue(bit, out Field field))
            {
                throw new ArgumentException(
                    $"Option without names '{bit}'; it can take away {string.Join(", ", s_removable.Keys)}.",
                    nameof(setup));
            }

            extended = extended.With(field, 0);
        }

        ExtendedCapabilities = extended;
    }

    /// <summary>Bits of a host address; higher bits of table pointers are reserved.</summary>
    public int HostAddressBits { get; } = 52;

    /// <summary>Value of CAP.</summary>
    public ulong Capabilities { get; }

    /// <summary>Value of ECAP.</summary>
    public ulong ExtendedCapabilities { get; }

    private static int Number(string name, string value, int first, int last) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
        && number >= first && number <= last
            ? number
            : throw new ArgumentException($"Option {name} is '{value}', it must be a number from {first} to {last}.");
}
