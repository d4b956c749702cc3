// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Catalogue;

/// <summary>PASIDs tile the table: each has its own place, and none is missing.</summary>
internal static class TilingCases
{
    private static readonly CaseFamily s_family = new("tiling", "TIL");
    public static IReadOnlyList<ConformanceCase> All { get; } =
    [
        s_family.Required(1, "D7, D8", "Every boundary PASID leads to its own process", Boundaries),
        s_family.Required(2, "D7", "The last PASID of a table is accepted, the next one refused", Widths),
        s_family.Optional(3, "A3", "A reserved PASID is never bound", Reserved),
        s_family.Required(4, "D8", "Neighbours of an installed entry lead nowhere", Neighbours),
    ];

    private static void Boundaries(CaseContext context)
    {
        TestBench bench = context.Start();
        Domain? shared = null;
        List<(BenchDevice Device, uint Pasid)> links = [];
        foreach (uint number in Numbers.For(bench))
        {
            BenchDevice device = bench.AddReady(bench.DomainFor(number, ref shared), number);
            bench.Probe(device, number);
            links.Add((device, bench.Bind(device, bench.StartProcess(Text($"p{number:x}")))));
            bench.ProbeAll();
        }

        foreach ((BenchDevice device, uint pasid) in links.OrderBy(l => l.Pasid ^ 0x55555))
        {
            bench.Unbind(device, pasid);
            bench.ProbeAll();
        }
    }

    private static void Widths(CaseContext context)
    {
        TestBench bench = context.Start();
        int most = bench.Unit.PasidBits;
        foreach (int bits in new[] { 1, 6, 7, 10, 11, 16, most }.Where(b => b <= most).Distinct())
        {
            Domain domain = bench.AddDomain(Text($"domain{bits}"), bits);
            uint last = (1u << bits) - 1;
            if (bench.Unit.ReservedPasids.Contains(new Pasid(last)))
            {
                continue;
            }

            BenchDevice inside = bench.AddDevice(domain, last);
            uint pasid = bench.Bind(inside, bench.StartProcess(Text($"last{bits}")));
            bench.ProbeAll();
            if (last < Pasid.MaxValue)
            {
                // Without PASIDs every device of a domain reaches its one process, so that this one gets a domain of
                // its own.
                Domain other = bench.Has(TestHardwareTraits.ManyProcesses)
                    ? domain
                    : bench.AddDomain(Text($"other{bits}"), bits);
                BenchDevice outside = bench.AddDevice(other, last + 1);
                OpResult<Pasid> refused = bench.TryBind(outside, bench.StartProcess(Text($"beyond{bits}")));
                context.Check(!refused.IsOk,
                    $"PASID 0x{last + 1:x} was bound in a table of {bits} bits, whose last PASID is 0x{last:x}");
                context.Check(refused.Errno is Errno.EINVAL or Errno.EOVERFLOW or Errno.ENOSPC,
                    $"PASID 0x{last + 1:x} beyond {bits} bits: {refused.Errno}, must be EINVAL, EOVERFLOW or ENOSPC "
                        + $"(C16)");
                bench.ProbeAll();
                bench.RemoveDevice(outside);
            }

            bench.Unbind(inside, pasid);
            bench.RemoveDevice(inside);
            bench.RemoveDomain(domain);
        }
    }

    private static void Reserved(CaseContext context)
    {
        TestBench bench = context.Start();
        Domain domain = bench.AddDomain("domain");
        foreach (Pasid reserved in bench.Unit.ReservedPasids)
        {
            context.Check(reserved.Value < 1u << bench.Unit.PasidBits,
                $"ReservedPasids has 0x{reserved.Value:x}, the unit has {bench.Unit.PasidBits} bits");
            BenchDevice device = bench.AddDevice(domain, reserved.Value);
            OpResult<Pasid> refused = bench.TryBind(device, bench.StartProcess("process"));
            context.Check(!refused.IsOk, $"the reserved PASID 0x{reserved.Value:x} was bound");
            bench.RemoveDevice(device);
        }

        if (bench.Unit.ReservedPasids.Count == 0)
        {
            context.NotApplicable("the unit reserves no PASID");
        }
    }

    private static void Neighbours(CaseContext context)
    {
        TestBench bench = context.Start();
        context.Needs(bench.Machine, TestHardwareTraits.ManyProcesses, "knows no PASIDs");
        Domain domain = bench.AddDomain("domain");
        uint last = (1u << bench.Unit.PasidBits) - 1;
        uint middle = Math.Min(0x12345, last / 2);
        BenchDevice bound = bench.AddDevice(domain, middle);
        uint[] around = [.. new[] { middle - 1, middle + 1, middle ^ 64, middle ^ 1024, middle ^ (last / 2 + 1) }
            .Where(n => n > 0 && n <= last && n != middle).Distinct()];
        foreach (uint number in around)
        {
            _ = bench.AddReady(domain, number);
        }

        uint pasid = bench.Bind(bound, bench.StartProcess("process"));
        bench.ProbeAll();
        bench.Unbind(bound, pasid);
        bench.ProbeAll();
    }
}
