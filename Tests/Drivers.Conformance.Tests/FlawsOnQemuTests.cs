// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Conformance.Results;
using PasidFramework.Conformance.Running;
using PasidFramework.Conformance.Tests.Flaws;
using PasidFramework.Qemu.Tests.Support;
using PasidFramework.TestKit;

namespace PasidFramework.Drivers.Conformance.Tests;

/// <summary>The suite catches broken drivers on QEMU as well: the bundled ones with one flaw each.</summary>
public sealed class FlawsOnQemuTests
{
    // VT-d D51397-018 6.5.2: descriptor types in 3:0. Arm IHI 0070 4.2 to 4.4: opcodes in 7:0.
    private static readonly Flaw[] s_ofVtd =
    [
        Forgets("no-iotlb", "does not invalidate translations", ["INV-001", "INV-002", "INV-003", "INV-004"], word =>
            (word & 0xF) is 2 or 6),
        Forgets("no-context", "does not invalidate context entries", ["INV-007"], word => (word & 0xF) == 1),
    ];

    private static readonly Flaw[] s_ofSmmu =
    [
        Forgets("no-tlbi", "does not invalidate translations", ["INV-003", "INV-004"], word =>
            (word & 0xFF) is >= 0x10 and < 0x40),
        Forgets("no-cfgi", "does not invalidate configuration entries", ["INV-001", "INV-002", "INV-007"], word =>
            (word & 0xFF) is >= 3 and <= 6),
    ];

    // Those of the unit's seam know nothing of an architecture. Not among them: short-range, because VT-d's masks cover
    // the page that it forgets, and wrong-pasid, because the records of FLT-003 name no PASID on any of QEMU's IOMMUs.
    private static readonly string[] s_neutral =
    [
        "last-pasid", "empty-range", "first-is-last", "no-exit", "leaks", "one-domain", "keeps-devices", "always-wide",
        "narrow", "no-requester", "takes-twice", "no-address", "all-loads", "first-device", "always-fine", "busy",
        "not-after-exit",
        "never-ends",
    ];

    // A failing sequence is shortened by some forty machines: once is enough.
    private static readonly Flaw s_dropsEverySeventh =
        AllFlaws.All.Single(f => f.Name == "drops-every-7th-invalidation");

    public static TheoryData<string, string, string, string> Rows
    {
        get
        {
            var rows = new TheoryData<string, string, string, string>();
            foreach (string driver in new[] { "intel-vtd", "arm-smmu", "virtio-iommu" })
            {
                foreach (Flaw flaw in Flaws(driver))
                {
                    // Each flaw once, where most can be shown; in a deep run by every case on every QEMU.
                    IEnumerable<ConformanceCase> cases =
                        ConformanceCatalogue.Cases.Where(c => c.NeedsHardware && flaw.Cases.Contains(c.Id));
                    foreach (ConformanceCase one in Effort.IsDeep ? cases : cases.Take(1))
                    {
                        foreach (IHardwareBackEnd backEnd in OnQemu(driver).Take(Effort.IsDeep ? int.MaxValue : 1))
                        {
                            rows.Add(driver, backEnd.Name, flaw.Name, one.Id);
                        }
                    }
                }
            }

            if (rows.Count == 0)
            {
                rows.Add("none", "qemu", "none", "none");
            }

            return rows;
        }
    }

    [Theory]
    [MemberData(nameof(Rows))]
    public void The_case_that_is_meant_for_it_catches_the_broken_driver(string driver, string hardware, string flaw,
        string id)
    {
        Assert.SkipWhen(driver == "none", "no QEMU; QemuTests says more");
        Flaw broken = Flaws(driver).Single(f => f.Name == flaw);
        IHardwareBackEnd backEnd = OnQemu(driver).Single(b => b.Name == hardware);
        ConformanceCase one = ConformanceCatalogue.Cases.Single(c => c.Id == id);

        CaseResult result = Run(broken.Bend(Subject(driver)), one, backEnd);

        if (result.Verdict == Verdict.NotApplicable)
        {
            // Only where the driver as it is cannot be judged there either.
            CaseResult whole = Run(Subject(driver), one, backEnd);
            Assert.Equal((whole.Verdict, whole.Reason), (result.Verdict, result.Reason));
            Assert.False(hardware.StartsWith("qemu-10.", StringComparison.Ordinal),
                $"10.x shows all of them: {result.Reason}");
            Assert.Skip($"{id} does not apply on {hardware}: {result.Reason}");
        }

        Assert.DoesNotContain(" threw ", result.Reason, StringComparison.Ordinal);
        Assert.True(
            result.Verdict == Verdict.Fail,
            $"{id} on '{flaw}' ({broken.What}): {result.Verdict} {result.Reason}\n{string.Join("\n", result.Details)}");
    }

    private static IEnumerable<Flaw> Flaws(string driver) => AllFlaws.All.Where(f => s_neutral.Contains(f.Name))
        .Concat(driver switch
    {
        "intel-vtd" => s_ofVtd,
        "arm-smmu" => Effort.IsDeep ? [.. s_ofSmmu, s_dropsEverySeventh] : s_ofSmmu,
        _ => [],
    });

    private static Flaw Forgets(string name, string what, string[] cases, Func<ulong, bool> drop) =>
        Flaw.OfDriver(name, what, cases, d => new FaultyDriver(d)
        {
            Hardware = h => new DroppingHardware(h, isVtd: name is "no-iotlb" or "no-context", drop) { IsOn = true },
        });

    private static IEnumerable<IHardwareBackEnd> OnQemu(string driver) =>
        Bundled.BackEnds(Loaded(driver).Metadata.TableFormat)
            .Where(b => b.Name.StartsWith("qemu-", StringComparison.Ordinal));

    private static LoadedDriver Loaded(string driver) => Bundled.Catalog.Find(driver).Value!;

    private static DriverUnderTest Subject(string driver)
    {
        LoadedDriver loaded = Loaded(driver);
        string format = loaded.Metadata.TableFormat;
        return new DriverUnderTest
        {
            Driver = loaded.Instance,
            Metadata = loaded.Metadata,
            Structures = loaded.Structures,
            Reader = Bundled.Catalog.TableReaders.GetValueOrDefault(format),
            TableFormat = Bundled.Catalog.TableFormats.GetValueOrDefault(format),
            PageTables = Bundled.Catalog.PageTables,
            BackEnds = Bundled.BackEnds(format),
        };
    }

    private static CaseResult Run(DriverUnderTest subject, ConformanceCase one, IHardwareBackEnd backEnd) =>
        ConformanceRunner.RunCase(subject, one, backEnd, new RunOptions { Today = new DateOnly(2026, 1, 1) });
}
