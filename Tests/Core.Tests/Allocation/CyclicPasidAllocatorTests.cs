// SPDX-License-Identifier: Apache-2.0
using System.Globalization;

namespace PasidFramework.Core.Tests.Allocation;

public sealed class CyclicPasidAllocatorTests
{
    [Fact]
    public void A10_the_first_hundred_PASIDs_of_a_trace_are_those_worked_out_by_hand()
    {
        CyclicPasidAllocator allocator = new(new PasidRange(1, 20));
        int numbers = 0;
        string path = Path.Combine(AppContext.BaseDirectory, "Allocation", "Vectors", "cyclic-trace.txt");
        foreach ((int line, string text) in File.ReadLines(path).Index())
        {
            string[] words = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            switch (words)
            {
                case []:
                case ["#", ..]:
                    break;
                case ["alloc", string first, string last, ":", .. string[] results]:
                    PasidRequest request = new(new PasidRange(Number(first), Number(last)));
                    foreach (string result in results)
                    {
                        PasidAllocation expected = result == "-"
                            ? PasidAllocation.None(PasidAllocationStatus.NoSpace)
                            : PasidAllocation.Of(Number(result));
                        PasidAllocation actual = allocator.Allocate(in request);
                        Assert.True(expected == actual, $"line {line + 1}: {actual} instead of {expected}");
                        numbers += actual.IsAllocated ? 1 : 0;
                    }

                    break;
                case ["free", .. string[] freed]:
                    Assert.All(freed, n => Assert.Equal(PasidFreeStatus.Freed, allocator.Free(new Pasid(Number(n)))));
                    break;
                case ["reserve", .. string[] reserved]:
                    Assert.All(reserved, n => Assert.True(allocator.TryReserve(new Pasid(Number(n)))));
                    break;
                default:
                    Assert.Fail($"line {line + 1} is not understood: {text}");
                    break;
            }
        }

        Assert.Equal(100, numbers);
    }

    [Fact]
    public void A_PASID_comes_back_only_after_the_whole_range_did()
    {
        PasidRange range = new(1, 1000);
        CyclicPasidAllocator allocator = new(range);
        PasidRequest request = new(range);

        for (uint i = 0; i < 5000; i++)
        {
            Pasid pasid = allocator.Allocate(in request).Pasid;
            Assert.Equal(1 + (i % 1000), pasid.Value);
            Assert.Equal(PasidFreeStatus.Freed, allocator.Free(pasid));
        }
    }

    [Fact]
    public void The_PASID_just_before_the_cursor_is_the_last_that_a_wrap_finds()
    {
        PasidRequest request = new(new PasidRange(1, 9));
        CyclicPasidAllocator allocator = new(request.Range);
        for (uint n = 1; n <= 9; n++)
        {
            Assert.Equal(PasidAllocation.Of(n), allocator.Allocate(in request));
        }

        allocator.Free(new Pasid(5));
        Assert.Equal(PasidAllocation.Of(5), allocator.Allocate(in request));
        allocator.Free(new Pasid(5));
        Assert.Equal(PasidAllocation.Of(5), allocator.Allocate(in request));
    }

    private static uint Number(string text) => uint.Parse(text, CultureInfo.InvariantCulture);
}
