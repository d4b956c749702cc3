// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Tests.Reports;

/// <summary>Reports made by hand: every verdict, every level, and texts that break a writer that is careless.</summary>
internal static class SampleReports
{
    /// <summary>An escape sequence, a lone half of a character, a mark that turns the direction, markup, a comment's
    /// end.</summary>
    public const string Nasty =
        "</script><script>alert('x')</script> & \"q\" ]]> --> \u001b[31mred\u001b[0m \ud800 \u202eevil \u0000\u0007 # "
            + "TODO \\ é \U0001F600 \uffff\nsecond line";

    public static ConformanceCase Case(string id, string family, CaseLevel level, string clause, string summary) =>
        new() { Id = id, Family = family, Level = level, Clause = clause, Summary = summary };

    public static CaseResult Result(ConformanceCase one, string hardware, Verdict verdict, string reason = "") => new()
    {
        Case = one,
        Hardware = hardware,
        Verdict = verdict,
        Reason = reason,
        Checks = verdict == Verdict.Pass ? 12 : 3,
        Duration = TimeSpan.FromMilliseconds(1234),
        Repeat =
            $"pasidctl verify /opt/vendor/drivers/acme/Acme.Iommu.dll --hardware {hardware} --case {one.Id} --seed 42",
    };

    public static ConformanceReport Full()
    {
        ConformanceCase round = Case("ENC-001", "encoding", CaseLevel.Required, "D11",
            "Every field survives encode and decode and touches no other bit");
        ConformanceCase unbind = Case("INV-001", "invalidation", CaseLevel.Required, "D5",
            "After the last unbind nothing is reached, not even what was cached");
        ConformanceCase again = Case("INV-002", "invalidation", CaseLevel.Required, "D5, F6",
            "A number that is used again never shows the process before");
        ConformanceCase ats = Case("INV-010", "invalidation", CaseLevel.Optional, "D5", "As INV-001, with device TLBs");
        ConformanceCase quick =
            Case("ALC-009", "allocator", CaseLevel.Recommended, "A7", "Exhaustion is told in constant time");
        ConformanceCase told =
            Case("OPT-004", "options", CaseLevel.Informative, "-", "What an unknown option is answered with");
        ConformanceCase race =
            Case("CON-001", "concurrency", CaseLevel.Required, "C10", $"Nasty {Nasty}") with { IsStochastic = true };
        return new ConformanceReport
        {
            Driver = "acme-iommu",
            DriverVersion = "1.4.0-beta+0123456789abcdef0123456789abcdef01234567",
            DriverHash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            Catalogue = "1.0",
            Seed = ulong.MaxValue,
            Hardware =
            [
                new("model", "The model was written by the authors of the framework, from the specification."),
                new("qemu-10.0.13", $"One PASID a device. {Nasty}"),
            ],
            Results =
            [
                Result(round, "none", Verdict.Pass),
                Result(unbind, "model", Verdict.Fail,
                    "dev-0118 with PASID 0x46 still reaches page 0x10000 of p0 (D5)") with
                {
                    Details =
                    [
                        "[63:59] S1CDMax  expected 8  got 7",
                        "bind p0 to dev-0118",
                        $"unbind {Nasty}",
                        new string('x', 200),
                    ],
                },
                Result(unbind, "qemu-10.0.13", Verdict.Pass),
                Result(again, "model", Verdict.Fail, "PASID 0x46 shows p0") with
                {
                    Waiver = new Waiver("INV-002", "model", "erratum 12: fixed in stepping B",
                        "https://tracker.example/7?a=1&b=<2>", new DateOnly(2027, 3, 31)),
                },
                Result(again, "qemu-10.0.13", Verdict.Error,
                    "the hardware broke down: the process died with code 139") with
                {
                    Details = ["at PasidFramework.Hardware.Qemu.Machine.Start()"],
                },
                Result(ats, "model", Verdict.NotApplicable, "capability Ats not declared"),
                Result(quick, "model", Verdict.Fail, "1048575 looks"),
                Result(told, "model", Verdict.Fail, "answered EIO"),
                Result(race, "model", Verdict.Inconclusive, Nasty) with { Details = [Nasty] },
            ],
            WaiverProblems = ["LIF-003 passes: remove its waiver", "the waiver of ENC-002 expired on 2026-01-31"],
        };
    }

    public static ConformanceReport Good()
    {
        ConformanceReport full = Full();
        return full with
        {
            WaiverProblems = [],
            Results = [.. full.Results.Where(r => r.Verdict is Verdict.Pass or Verdict.NotApplicable
                || r.Waiver is not null)],
        };
    }
}
