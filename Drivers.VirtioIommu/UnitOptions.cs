using System.Globalization;
using PasidFramework.Drivers.VirtioIommu.Requests;

namespace PasidFramework.Drivers.VirtioIommu;

/// <summary>The settings of a unit (<see cref="UnitSetup.Options"/>).</summary>
/// <param name="Dialect">The proposal that is spoken if the device offers it; null for the standard alone.</param>
/// <param name="ProbeEndpoint">The endpoint that is asked for the PASID width when the unit starts.</param>
internal sealed record UnitOptions(TableDialect? Dialect, uint ProbeEndpoint)
{
    /// <summary>Name of the option that chooses the dialect: <c>none</c>, <c>B</c> (the default) or <c>E</c>.</summary>
    public const string DialectName = "dialect";

    /// <summary>Name of the option that names the endpoint to ask, 0 by default.</summary>
    public const string ProbeEndpointName = "probeEndpoint";

    /// <summary>Reads the settings.</summary>
    /// <returns>The settings; EINVAL, naming what is allowed.</returns>
    public static OpResult<UnitOptions> Parse(IReadOnlyDictionary<string, string> options)
    {
        TableDialect? dialect = ProposalBDialect.Instance;
        uint endpoint = 0;
        foreach ((string name, string value) in options.OrderBy(o => o.Key, StringComparer.Ordinal))
        {
            switch (name)
            {
                case DialectName:
                    if (!TableDialect.TryParse(value, out dialect))
                    {
                        return Invalid($"option {DialectName} = '{value}' is not known; allowed are none, B, E");
                    }

                    break;
                case ProbeEndpointName:
                    if (!RequesterId.TryParse(value, out RequesterId requester))
                    {
                        return Invalid(
                            $"option {ProbeEndpointName} = '{value}' is neither bb:dd.f nor a 32-bit number");
                    }

                    endpoint = requester.Value;
                    break;
                default:
                    return Invalid(
                        $"option '{name}' is unknown; allowed are {DialectName} (none, B, E) and {ProbeEndpointName}");
            }
        }

        return OpResult<UnitOptions>.Ok(new UnitOptions(dialect, endpoint));
    }

    private static OpResult<UnitOptions> Invalid(FormattableString why) =>
        OpResult<UnitOptions>.Refuse(Errno.EINVAL, "virtio-iommu: " + why.ToString(CultureInfo.InvariantCulture));
}
