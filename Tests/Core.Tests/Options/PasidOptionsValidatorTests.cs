// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Core.Tests.Options;

public sealed class PasidOptionsValidatorTests
{
    [Fact]
    public void The_defaults_are_valid() => Assert.Empty(Failures(new PasidOptions()));

    [Fact]
    public void Every_limit_is_valid_itself()
    {
        Assert.Empty(Failures(new PasidOptions { First = 0, Last = 0xFFFFF, QuarantineFrees = 0xFFFFF }));
        Assert.Empty(Failures(new PasidOptions { First = 0xFFFFF, Last = 0xFFFFF }));
        Assert.Empty(Failures(new PasidOptions { First = 0, Last = 0 }));
        Assert.Empty(Failures(new PasidOptions
        {
            Ownership = "vendor",
            Lifetime = "process-death",
            Allocator = "top-down",
            First = 10,
            Last = 20,
            QuarantineFrees = 8,
            QuarantineMilliseconds = 86_400_000,
            QuotaPerTenant = 1 << 20,
            Reserved = { 10, 20, 20 },
            Seed = ulong.MaxValue,
        }));
    }

    public static TheoryData<string, Action<PasidOptions>> Mistakes => new()
    {
        { "Pasid:Ownership is 'Core', must be one of core, vendor", o => o.Ownership = "Core" },
        { "Pasid:Ownership is '', must be one of core, vendor", o => o.Ownership = null! },
        {
            "Pasid:Allocator is 'fifo', must be one of cyclic, lowest, random, sharded, top-down",
            o => o.Allocator = "fifo"
        },
        { "Pasid:Allocator is '', must be one of cyclic, lowest, random, sharded, top-down", o => o.Allocator = null! },
        { "Pasid:Lifetime is 'never', must be one of last-unbind, process-death", o => o.Lifetime = "never" },
        { "Pasid:Lifetime is '', must be one of last-unbind, process-death", o => o.Lifetime = "" },
        { "Pasid:First is 2097152, must be 0 to 1048575 (20 bits)", o => o.First = 2097152 },
        { "Pasid:First is 1048576, must be 0 to 1048575 (20 bits)", o => o.First = 1048576 },
        { "Pasid:First is -1, must be 0 to 1048575 (20 bits)", o => o.First = -1 },
        { "Pasid:Last is 1048576, must be 0 to 1048575 (20 bits)", o => o.Last = 1048576 },
        { "Pasid:Last is -1, must be 0 to 1048575 (20 bits)", o => o.Last = -1 },
        { "Pasid:Last is 9223372036854775807, must be 0 to 1048575 (20 bits)", o => o.Last = long.MaxValue },
        { "Pasid:First is 10, must be at most Pasid:Last (9)", o => (o.First, o.Last) = (10, 9) },
        { "Pasid:Reserved:1 is 21, must be 10 to 20 (Pasid:First to Pasid:Last)", o => Reserve(o, 10, 21) },
        { "Pasid:Reserved:0 is 9, must be 10 to 20 (Pasid:First to Pasid:Last)", o => Reserve(o, 9) },
        { "Pasid:Reserved:0 is -1, must be 10 to 20 (Pasid:First to Pasid:Last)", o => Reserve(o, -1) },
        {
            "Pasid:Reserved is 11 PASIDs, must leave one of Pasid:First to Pasid:Last",
            o => Reserve(o, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20)
        },
        {
            "Pasid:QuarantineFrees is -1, must be 0 to 1048574 "
                + "(less than the 1048575 PASIDs of Pasid:First to Pasid:Last that are not reserved)",
            o => o.QuarantineFrees = -1
        },
        {
            "Pasid:QuarantineFrees is 9, must be 0 to 8 "
                + "(less than the 9 PASIDs of Pasid:First to Pasid:Last that are not reserved)",
            o =>
            {
                Reserve(o, 12, 12, 13);
                o.QuarantineFrees = 9;
            }
        },
        { "Pasid:QuarantineMilliseconds is -1, must be 0 to 86400000 (one day)", o => o.QuarantineMilliseconds = -1 },
        {
            "Pasid:QuarantineMilliseconds is 86400001, must be 0 to 86400000 (one day)",
            o => o.QuarantineMilliseconds = 86_400_001
        },
        { "Pasid:QuotaPerTenant is -1, must be 0 to 1048576 (0 is no limit)", o => o.QuotaPerTenant = -1 },
        { "Pasid:QuotaPerTenant is 1048577, must be 0 to 1048576 (0 is no limit)", o => o.QuotaPerTenant = 1048577 },
    };

    [Theory]
    [MemberData(nameof(Mistakes))]
    public void A_mistake_is_one_line_with_key_value_and_limit(string expected, Action<PasidOptions> mistake)
    {
        PasidOptions options = new();
        mistake(options);

        Assert.Equal([expected], Failures(options));
    }

    [Fact]
    public void All_mistakes_are_reported_at_once()
    {
        IEnumerable<string> failures = Failures(new PasidOptions
        {
            Ownership = "me",
            Allocator = "mine",
            Lifetime = "long",
            First = -5,
            Last = 5_000_000,
            Reserved = { 3_000_000 },
            QuarantineFrees = 2_000_000,
            QuarantineMilliseconds = -1,
            QuotaPerTenant = -1,
        });

        Assert.Equal(
            [
                "Pasid:Ownership", "Pasid:Allocator", "Pasid:Lifetime", "Pasid:First", "Pasid:Last", "Pasid:Reserved:0",
                "Pasid:QuarantineFrees", "Pasid:QuarantineMilliseconds", "Pasid:QuotaPerTenant",
            ],
            failures.Select(f => f.Split(' ')[0]));
    }

    [Fact]
    public void A_plug_ins_policy_is_valid_and_listed()
    {
        PasidOptionsValidator validator = new(["zebra", "first-come", "lowest"]);

        Assert.True(validator.Validate(null, new PasidOptions { Allocator = "zebra" }).Succeeded);
        Assert.Equal(
            ["Pasid:Allocator is 'x', must be one of cyclic, first-come, lowest, random, sharded, top-down, zebra"],
            validator.Validate(null, new PasidOptions { Allocator = "x" }).Failures);
    }

    private static void Reserve(PasidOptions options, params long[] numbers)
    {
        (options.First, options.Last) = (10, 20);
        foreach (long number in numbers)
        {
            options.Reserved.Add(number);
        }
    }

    private static IEnumerable<string> Failures(PasidOptions options)
    {
        ValidateOptionsResult result = new PasidOptionsValidator().Validate(null, options);
        Assert.Equal(result.Failed, result.Failures?.Any() == true);
        return result.Failures ?? [];
    }
}
