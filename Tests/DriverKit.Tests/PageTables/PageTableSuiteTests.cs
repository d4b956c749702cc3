// SPDX-License-Identifier: Apache-2.0
using PasidFramework.TestKit.PageTables;

namespace PasidFramework.DriverKit.Tests.PageTables;

public sealed class PageTableSuiteTests
{
    public static TheoryData<string, string> Rows
    {
        get
        {
            var rows = new TheoryData<string, string>();
            foreach (RadixFormat format in CpuPageTables.All)
            {
                foreach (string check in PageTableSuite.Checks.Keys)
                {
                    rows.Add(format.Name, check);
                }
            }

            return rows;
        }
    }

    public static TheoryData<string> Formats => [.. CpuPageTables.All.Select(format => format.Name)];

    [Theory]
    [MemberData(nameof(Rows))]
    public void A_format_keeps_the_contract(string format, string check) =>
        PageTableSuite.Checks[check](new PageTableSuite(Find(format)));

    [Theory]
    [MemberData(nameof(Formats))]
    public void Any_sequence_of_maps_and_unmaps_ends_as_a_dictionary_says(string name)
    {
        IPageTableFormat format = Find(name);
        var suite = new PageTableSuite(format);
        Prop.ForAll<int[]>(codes => suite.RunSequence(codes.Select(code => PageOperation.Decode(format, code * 7919))))
            .QuickCheckThrowOnFailure();
    }

    private static RadixFormat Find(string name) => CpuPageTables.All.Single(format => format.Name == name);
}
