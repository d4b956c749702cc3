namespace PasidFramework.Drivers.ArmSmmu.Tests.Support;

/// <summary>Data files of the tests: one fact a line, comments begin with #.</summary>
internal static class DataFile
{
    public static IEnumerable<string> Lines(string name) =>
        File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Vectors", name))
            .Where(line => line.Length > 0 && line[0] != '#');
}
