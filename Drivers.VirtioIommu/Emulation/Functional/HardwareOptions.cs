using System.Globalization;
using PasidFramework.Drivers.VirtioIommu.Dialects;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;

namespace PasidFramework.Drivers.VirtioIommu.Emulation.Functional;

/// <summary>The settings of the stand-in device (<see cref="HardwareSetup.Options"/>).</summary>
/// <param name="Dialect">The proposal that it implements; null for a standard-only device.</param>
/// <param name="Bypass">Whether endpoints without a domain pass.</param>
/// <param name="Endpoints">The endpoints that exist; null for all.</param>
/// <param name="InputBits">Width of the addresses that can be mapped; 64 for no INPUT_RANGE.</param>
internal sealed record HardwareOptions(TableDialect? Dialect, bool Bypass, HashSet<uint>? Endpoints, int InputBits)
{
    private const string Allowed =
        "dialect (none, B, E), bypass (on, off), endpoints (a comma-separated list) and inputBits (12 to 63)";

    /// <summary>Last byte that can be mapped.</summary>
    public ulong InputLast => ulong.MaxValue >> (64 - InputBits);

    /// <summary>Reads the settings.</summary>
    /// <exception cref="ArgumentException">A name or value is not known; the message names what is allowed.</exception>
    public static HardwareOptions Parse(IReadOnlyDictionary<string, string> options)
    {
        TableDialect? dialect = ProposalBDialect.Instance;
        bool bypass = false;
        HashSet<uint>? endpoints = null;
        int inputBits = 64;
        foreach ((string name, string value) in options)
        {
            switch (name)
            {
                case "dialect" when TableDialect.TryParse(value, out dialect):
                    break;
                case "bypass" when value is "on" or "off":
                    bypass = value == "on";
                    break;
                case "endpoints":
                    endpoints = ParseEndpoints(value);
                    break;
                case "inputBits" when int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out inputBits)
                    && inputBits is >= 12 and <= 63:
                    break;
                default:
                    throw new ArgumentException(
                        $"virtio-iommu hardware has no option {name} = '{value}'; allowed are {Allowed}.",
                        nameof(options));
            }
        }

        return new HardwareOptions(dialect, bypass, endpoints, inputBits);
    }

    private static HashSet<uint> ParseEndpoints(string list)
    {
        var endpoints = new HashSet<uint>();
        foreach (string item in list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (!RequesterId.TryParse(item, out RequesterId requester))
            {
                throw new ArgumentException(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"virtio-iommu hardware option endpoints: '{item}' is neither bb:dd.f nor a 32-bit number."),
                    nameof(list));
            }

            endpoints.Add(requester.Value);
        }

        return endpoints;
    }
}
