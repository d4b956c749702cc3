// SPDX-License-Identifier: Apache-2.0
using System.Reflection;

namespace PasidFramework.Conformance.Tests;

/// <summary>Pages of docs/ that are made from the code.</summary>
internal static class Pages
{
    /// <summary>Compares a page with what it should be; writes it first where <c>PASID_WRITE_MATRIX=1</c> asks for
    /// that.</summary>
    public static void Check(string name, string wanted)
    {
        string root = typeof(Pages).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
            .First(a => a.Key == "RepositoryRoot").Value!;
        string path = Path.Combine(root, "docs", name);
        if (Environment.GetEnvironmentVariable("PASID_WRITE_MATRIX") == "1")
        {
            File.WriteAllText(path, wanted);
        }

        Assert.Equal(wanted, File.ReadAllText(path));
    }
}
