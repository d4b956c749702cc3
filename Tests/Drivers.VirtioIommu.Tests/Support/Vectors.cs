using System.Globalization;
using PasidFramework.Drivers.VirtioIommu.Formats;
using PasidFramework.Records;

namespace PasidFramework.Drivers.VirtioIommu.Tests.Support;

internal sealed record Vector(string Name, Layout Layout, Dictionary<string, ulong> Fields, byte[] Bytes)
{
    public static IReadOnlyDictionary<string, Vector> All { get; } = Read();

    private static Dictionary<string, Vector> Read()
    {
        string file = Path.Combine(AppContext.BaseDirectory, "Vectors", "structures.txt");
        var vectors = new Dictionary<string, Vector>(StringComparer.Ordinal);
        foreach (string line in File.ReadLines(file))
        {
            if (line.StartsWith('#') || line.Length == 0)
            {
                continue;
            }

            string[] parts = line.Split('|', StringSplitOptions.TrimEntries);
            Layout layout = VirtioIommuLayouts.All.Single(l => l.Id == parts[1]);
            Dictionary<string, ulong> fields = parts[2].Split(' ').Select(f => f.Split('=')).ToDictionary(
                f => f[0], f => ulong.Parse(f[1], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
            bool padded = parts[3].EndsWith('+');
            byte[] bytes = Convert.FromHexString(parts[3].TrimEnd('+').Replace(" ", string.Empty, StringComparison.Ordinal));
            if (padded)
            {
                Array.Resize(ref bytes, layout.Bytes);
            }

            vectors.Add(parts[0], new Vector(parts[0], layout, fields, bytes));
        }

        return vectors;
    }
}
