using PasidFramework.Conformance.Bench;
using PasidFramework.Contracts;
using PasidFramework.Engine;
using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace PasidFramework.Conformance.Cases;

/// <summary>Numbers tile the table: each has its own place, and none is missing.</summary>
internal static class TilingCases
{
    private static readonly CaseFamily s_family = new("tiling", "TIL");

    public static IReadOnlyList<ConformanceCase> All { get; } =
    [
        s_family.Required(1, "D7, D8", "Every boundary number leads to its own process", Boundaries),
        s_family.Required(2, "D7", "The last number of a table is accepted, the next one refused", Widths),
        s_family.Optional(3, "A3", "A reserved number is never bound", Reserved),
        s_family.Required(4, "D8", "Neighbours of an installed entry lead nowhere", Neighbours),
    ];

    private static void Boundaries(CaseContext context)
    {
        Rig rig = context.Start();
        Domain? shared = null;
        List<(RigDevice Device, uint Pasid)> links = [];
        foreach (uint number in Numbers.For(rig))
        {
            // Without PASIDs a domain is one process.
            Domain domain = rig.Has(TestHardwareTraits.ManyProcesses)
                ? shared ??= rig.AddDomain("domain")
                : rig.AddDomain(CaseContext.Text($"domain{number:x}"));
            RigDevice device = rig.AddDevice(domain, number);
            rig.MustBeAble(device, number);
            rig.LookAt(device, number);
            links.Add((device, rig.Bind(device, rig.StartProcess(CaseContext.Text($"p{number:x}")))));
            rig.LookEverywhere();
        }

        foreach ((RigDevice device, uint pasid) in links.OrderBy(l => l.Pasid ^ 0x55555))
        {
            rig.Unbind(device, pasid);
            rig.LookEverywhere();
        }
    }

    private static void Widths(CaseContext context)
    {
        Rig rig = context.Start();
        int most = rig.Unit.PasidBits;
        foreach (int bits in new[] { 1, 6, 7, 10, 11, 16, most }.Where(b => b <= most).Distinct())
        {
            Domain domain = rig.AddDomain(CaseContext.Text($"domain{bits}"), bits);
            uint last = (1u << bits) - 1;
            if (rig.Unit.ReservedPasids.Contains(new Pasid(last)))
            {
                continue;
            }

            RigDevice inside = rig.AddDevice(domain, last);
            uint pasid = rig.Bind(inside, rig.StartProcess(CaseContext.Text($"last{bits}")));
            rig.LookEverywhere();
            if (last < Pasid.MaxValue)
            {
                // Without PASIDs every device of a domain reaches its one process, so that this one gets a domain of its own.
                Domain other = rig.Has(TestHardwareTraits.ManyProcesses)
                    ? domain
                    : rig.AddDomain(CaseContext.Text($"other{bits}"), bits);
                RigDevice outside = rig.AddDevice(other, last + 1);
                OpResult<Pasid> refused = rig.TryBind(outside, rig.StartProcess(CaseContext.Text($"beyond{bits}")));
                context.Check(
                    !refused.IsOk, $"PASID 0x{last + 1:x} was bound in a table of {bits} bits, whose last number is 0x{last:x}");
                context.Check(
                    refused.Errno is Errno.EINVAL or Errno.EOVERFLOW or Errno.ENOSPC,
                    $"PASID 0x{last + 1:x} beyond {bits} bits: {refused.Errno}, must be EINVAL, EOVERFLOW or ENOSPC (C16)");
                rig.LookEverywhere();
                rig.RemoveDevice(outside);
            }

            rig.Unbind(inside, pasid);
            rig.RemoveDevice(inside);
            rig.RemoveDomain(domain);
        }
    }

    private static void Reserved(CaseContext context)
    {
        Rig rig = context.Start();
        Domain domain = rig.AddDomain("domain");
        foreach (Pasid reserved in rig.Unit.ReservedPasids)
        {
            context.Check(
                reserved.Value < 1u << rig.Unit.PasidBits,
                $"ReservedPasids has 0x{reserved.Value:x}, the unit has {rig.Unit.PasidBits} bits");
            RigDevice device = rig.AddDevice(domain, reserved.Value);
            OpResult<Pasid> refused = rig.TryBind(device, rig.StartProcess("process"));
            context.Check(!refused.IsOk, $"the reserved PASID 0x{reserved.Value:x} was bound");
            rig.RemoveDevice(device);
        }

        if (rig.Unit.ReservedPasids.Count == 0)
        {
            context.NotApplicable("the unit reserves no number");
        }
    }

    private static void Neighbours(CaseContext context)
    {
        Rig rig = context.Start();
        context.Needs(rig.Machine, TestHardwareTraits.ManyProcesses, "knows no PASIDs");
        Domain domain = rig.AddDomain("domain");
        uint last = (1u << rig.Unit.PasidBits) - 1;
        uint middle = Math.Min(0x12345, last / 2);
        RigDevice bound = rig.AddDevice(domain, middle);
        uint[] around = [.. new[] { middle - 1, middle + 1, middle ^ 64, middle ^ 1024, middle ^ (last / 2 + 1) }
            .Where(n => n > 0 && n <= last && n != middle).Distinct()];
        RigDevice[] others = [.. around.Select(n => rig.AddDevice(domain, n))];
        foreach (RigDevice other in others)
        {
            rig.MustBeAble(other, other.Only!.Value);
        }

        uint pasid = rig.Bind(bound, rig.StartProcess("process"));
        rig.LookEverywhere();
        rig.Unbind(bound, pasid);
        rig.LookEverywhere();
    }
}
