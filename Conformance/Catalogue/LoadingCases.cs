// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Catalogue;

/// <summary>What a driver says of itself, and how its units begin and end.</summary>
internal static class LoadingCases
{
    private static readonly CaseFamily s_family = new("loading", "MET", needsHardware: false);
    public static IReadOnlyList<ConformanceCase> All { get; } =
    [
        s_family.Required(1, "DriverMetadata", "Names, width and contract are stated as the contract asks", Metadata),
        s_family.Required(2, "D13", "A unit's end gives everything back, and may be asked for twice", TwoEnds),
        s_family.Required(3, "IPasidDriver", "Two units of one driver do not know each other", TwoUnits),
        s_family.Required(4, "structures", "Structures have one id each, with their format's name in front", Ids),
        s_family.Recommended(5, "readers", "A reader of its tables is exported", Reader),
    ];

    private static void Metadata(CaseContext context)
    {
        DriverMetadata data = context.Subject.Metadata;
        foreach ((string what, string name) in new[] { ("driver", data.Name), ("table format", data.TableFormat) })
        {
            context.Check(name.Length > 0 && name.All(c => c is (>= 'a' and <= 'z') or (>= '0' and <= '9') or '-'),
                $"the {what} name is '{name}', must be one or more of a-z, 0-9 and dashes");
        }

        context.Check(data.PasidBits is >= 1 and <= Pasid.MaxBits,
            $"PasidBits is {data.PasidBits}, must be 1 to {Pasid.MaxBits}");
        context.Check(data.ContractMajor == DriverContract.Major && data.ContractMinor <= DriverContract.Minor,
            $"contract {data.ContractMajor}.{data.ContractMinor}, this is "
                + $"{DriverContract.Major}.{DriverContract.Minor}");
        context.Check(data.Vendor.Length > 0, $"no vendor is stated");
        DriverCapabilities known = Enum.GetValues<DriverCapabilities>()
            .Aggregate(DriverCapabilities.None, (a, b) => a | b);
        context.Check((data.Capabilities & ~known) == 0,
            $"capabilities 0x{(int)(data.Capabilities & ~known):x} are unknown");
    }

    private static void TwoEnds(CaseContext context)
    {
        using StandIn stand = StandIn.Bare(context);
        long before = stand.Memory.HeldBytes;
        OpResult<IIommuUnit> made = stand.CreateUnit();
        context.Check(made.IsOk, $"CreateUnit: {made.Reason} ({made.Errno})");
        IIommuUnit unit = made.Value!;
        unit.Dispose();
        context.Check(stand.Memory.HeldBytes == before,
            $"{stand.Memory.HeldBytes - before} bytes are left after the unit's end");
        unit.Dispose();
        context.Check(stand.Memory.HeldBytes == before,
            $"a second Dispose changed the memory by {stand.Memory.HeldBytes - before} bytes");
    }

    private static void TwoUnits(CaseContext context)
    {
        using StandIn one = StandIn.Start(context);
        using StandIn two = StandIn.Start(context);
        Device first = one.AddDevice(one.AddDomain());
        Device second = two.AddDevice(two.AddDomain());
        OpResult<Pasid> bound = one.Core.Bind(first, new BareProcess(1));
        context.Check(bound.IsOk, $"bind in the first unit: {bound.Reason} ({bound.Errno})");
        OpResult<Pasid> other = two.Core.Bind(second, new BareProcess(2));
        context.Check(other.IsOk, $"bind in the second unit: {other.Reason} ({other.Errno})");
        two.Dispose();
        OpResult unbound = one.Core.Unbind(first, bound.Value);
        context.Check(unbound.IsOk,
            $"unbind in the first unit after the end of the second: {unbound.Reason} ({unbound.Errno})");
    }

    private static void Ids(CaseContext context)
    {
        HashSet<string> seen = [];
        foreach (Layout layout in context.Subject.Structures)
        {
            context.Check(seen.Add(layout.Id), $"two structures are called '{layout.Id}'");
            int slash = layout.Id.IndexOf('/', StringComparison.Ordinal);
            context.Check(slash > 0 && slash < layout.Id.Length - 1,
                $"structure '{layout.Id}' has no format's name and slash in front");
            context.Check(layout.Source.Length > 0, $"structure '{layout.Id}' names no specification");
        }

        if (seen.Count == 0)
        {
            context.NotApplicable("its assembly exports no structures");
        }
    }

    private static void Reader(CaseContext context) => context.Check(
        context.Subject.Reader is not null, $"there is no reader of '{context.Subject.Metadata.TableFormat}' tables");
}
