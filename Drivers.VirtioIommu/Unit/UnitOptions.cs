using System.Globalization;
using PasidFramework.Contracts;
using PasidFramework.Drivers.VirtioIommu.Dialects;
using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace PasidFramework.Drivers.VirtioIommu.Unit;

/// <summary>The settings of a unit (<see cref="UnitSetup.Options"/>).</summary>
/// <param name="Dialect">The proposal that is spoken if the device offers it; null for the standard alone.</param>
/// <param name="ProbeEndpoint">The endpoint that is asked for the PASID width when the unit starts.</param>
/// <param name="PageTables">With dialect <c>map</c>, the format of the processes' page tables; else null.</param>
internal sealed record UnitOptions(TableDialect? Dialect, uint ProbeEndpoint, string? PageTables)
{
    /// <summary>Name of the option that chooses the dialect: <c>none</c>, <c>B</c> (the default), <c>E</c> or
    /// <c>map</c>.</summary>
    public const string DialectName = "dialect";

    /// <summary>Name of the option that names the page tables of dialect map: <see cref="X86"/> (the default) or
    /// <see cref="Arm"/>.</summary>
    public const string PagesName = "pages";

    /// <summary>Page tables of x86-64 CPUs.</summary>
    public const string X86 = "x86-64";

    /// <summary>Page tables of AArch64 CPUs with 4 KiB pages.</summary>
    public const string Arm = "arm-lpae-4k";

    private const string Map = "map";

    /// <summary>Name of the option that names the endpoint to ask, 0 by default.</summary>
    public const string ProbeEndpointName = "probeEndpoint";

    /// <summary>Reads the settings.</summary>
    /// <returns>The settings; EINVAL, naming what is allowed.</returns>
    public static OpResult<UnitOptions> Parse(IReadOnlyDictionary<string, string> options)
    {
        TableDialect? dialect = ProposalBDialect.Instance;
        uint endpoint = 0;
        bool maps = false;
        string? pages = null;
        foreach ((string name, string value) in options.OrderBy(o => o.Key, StringComparer.Ordinal))
        {
            switch (name)
            {
                case DialectName:
                    maps = value == Map;
                    if (!TableDialect.TryParse(value, out dialect) && !maps)
                    {
                        return Invalid($"option {DialectName} = '{value}' is not known; allowed are none, B, E, map");
                    }

                    break;
                case PagesName when value is X86 or Arm:
                    pages = value;
                    break;
                case PagesName:
                    return Invalid($"option {PagesName} = '{value}' is not known; allowed are {X86}, {Arm}");
                case ProbeEndpointName:
                    if (!RequesterId.TryParse(value, out RequesterId requester))
                    {
                        return Invalid(
                            $"option {ProbeEndpointName} = '{value}' is neither bb:dd.f nor a 32-bit number");
                    }

                    endpoint = requester.Value;
                    break;
                default:
                    const string Allowed = $"{DialectName} (none, B, E, map), {PagesName} and {ProbeEndpointName}";
                    return Invalid($"option '{name}' is unknown; allowed are {Allowed}");
            }
        }

        return pages is not null && !maps
            ? Invalid($"option {PagesName} belongs to {DialectName} = {Map}; the other dialects walk no page tables")
            : OpResult<UnitOptions>.Ok(new UnitOptions(dialect, endpoint, maps ? pages ?? X86 : null));
    }

    private static OpResult<UnitOptions> Invalid(FormattableString why) =>
        OpResult<UnitOptions>.Refuse(Errno.EINVAL, "virtio-iommu: " + why.ToString(CultureInfo.InvariantCulture));
}
