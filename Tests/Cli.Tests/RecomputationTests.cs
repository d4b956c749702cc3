// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Cli.Tests;

/// <summary>The recomputation is no rubber stamp: one altered line of one policy's events is seen.</summary>
public sealed class RecomputationTests(CyclicComparison comparison) : IClassFixture<CyclicComparison>
{
    [Theory]
    [InlineData("\"kind\":\"bind\"", "\"kind\":\"skip\""), InlineData("\"kind\":\"unbind\"", "\"kind\":\"exit\"")]
    [InlineData("\"kind\":\"free\"", "\"kind\":\"exit\"")]
    [InlineData("\"errno\":\"EOVERFLOW\"", "\"errno\":\"ENOSPC\"")]
    [InlineData("\"commands\":{\"virtio-iommu\":2}", "\"commands\":{\"virtio-iommu\":3}")]
    [InlineData("\"tableBytes\":{\"arm-smmu\":", "\"tableBytes\":{\"arm-smmu\":9")]
    [InlineData("\"device\":\"npu0\",\"driver\":\"arm-smmu\"", "\"device\":\"npu0\",\"driver\":\"intel-vtd\"")]
    [InlineData("\"operation\":\"end\"", null)]
    public void The_recomputation_sees_one_altered_line(string find, string? replace)
    {
        string altered = Path.Combine(comparison.Root, $"altered-{Guid.NewGuid():N}.jsonl");
        bool isDone = false;
        File.WriteAllLines(altered, File.ReadLines(comparison.Events).SelectMany(line =>
        {
            if (isDone || !line.Contains(find, StringComparison.Ordinal))
            {
                return (string[])[line];
            }

            isDone = true;
            return replace is null ? [] : [line.Replace(find, replace, StringComparison.Ordinal)];
        }));
        Assert.True(isDone);

        Outcome outcome = Tool.Recompute(altered, comparison.Report);
        File.Delete(altered);

        Assert.Equal((1, string.Empty), (outcome.ExitCode, outcome.Error));
        Assert.NotEmpty(outcome.Out);
    }
}
